//! A picture: planes that belong together.

use super::{
    Depth,
    plane::{PlaneScaler, Samples, Short},
    taps::Axis,
};

/// How a picture's samples lie in memory. Chroma is 4:2:0 in all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Three planes.
    Planar(Depth),
    /// Luma, then both chroma components in turn, eight bits each.
    Paired,
}

/// Where a chroma sample stands among its four pixels, in each direction: with the first one, or between both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChromaSite {
    /// At the left of two pixels, as MPEG has it, not between them.
    pub(crate) left: bool,
    /// At the upper of two, not between them.
    pub(crate) top: bool,
}

/// Which lines belong to one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fields {
    /// All of them.
    Progressive,
    /// Every other one: two pictures in one, each to be scaled by itself.
    Interlaced,
}

/// The planes of a picture: bytes from the first sample on, and bytes from a line to the next.
pub(crate) type Planes<'a> = &'a [(&'a [u8], usize)];
/// The same, to be written.
pub(crate) type PlanesMut<'a, 'b> = &'a mut [(&'b mut [u8], usize)];

/// Scales pictures of one size and layout to another size.
#[derive(Debug)]
pub(crate) struct PictureScaler {
    /// The planes of a picture, or of its upper field and then its lower.
    planes: Vec<Vec<PlaneScaler>>,
}

impl PictureScaler {
    /// Sizes are width and height, none of them zero.
    pub(crate) fn new(
        layout: Layout,
        site: ChromaSite,
        fields: Fields,
        from: (usize, usize),
        to: (usize, usize),
    ) -> Self {
        let kinds = match fields {
            // With two lines there is one of chroma, and no second field.
            Fields::Interlaced if from.1 > 2 && to.1 > 2 => &[Some(0), Some(1)][..],
            _ => &[None],
        };
        let each = |field: &Option<usize>| planes(layout, site, *field, from, to);
        Self {
            planes: kinds.iter().map(each).collect(),
        }
    }

    /// Scales one picture.
    pub(crate) fn scale(&mut self, source: Planes<'_>, target: PlanesMut<'_, '_>) -> Result<(), Short> {
        let fields = self.planes.len();
        for (field, scalers) in self.planes.iter_mut().enumerate() {
            for ((scaler, (from, from_stride)), (to, to_stride)) in scalers.iter_mut().zip(source).zip(&mut *target) {
                let from = from.get(field * *from_stride..).unwrap_or_default();
                let to = to.get_mut(field * *to_stride..).unwrap_or_default();
                scaler.scale(from, fields * *from_stride, to, fields * *to_stride)?;
            }
        }
        Ok(())
    }
}

/// The scalers for each plane, of a whole picture or of a field of it.
fn planes(
    layout: Layout,
    site: ChromaSite,
    field: Option<usize>,
    from: (usize, usize),
    to: (usize, usize),
) -> Vec<PlaneScaler> {
    let (step_x, step_y) = (from.0 as f64 / to.0 as f64, from.1 as f64 / to.1 as f64);
    let lines = |height: usize| field.map_or(height, |field| (height - field).div_ceil(2));
    let within = |cosited: bool| if cosited { 0.25 } else { 0.5 };
    // A field's lines stand a quarter above and a quarter below where a picture of half the height would have its own.
    let line = |phase: f64| field.map_or(phase, |field| phase / 2.0 + field as f64 / 2.0);
    let axes = |chroma: bool| {
        let part = |size: usize| if chroma { size.div_ceil(2) } else { size };
        let (phase_x, phase_y) = if chroma {
            (within(site.left), within(site.top))
        } else {
            (0.5, 0.5)
        };
        let x = Axis {
            from: part(from.0),
            to: part(to.0),
            step: step_x,
            phase: phase_x,
        };
        let y = Axis {
            from: lines(part(from.1)),
            to: lines(part(to.1)),
            step: step_y,
            phase: line(phase_y),
        };
        (x, y)
    };
    let plane = |depth, samples, chroma| {
        let (x, y) = axes(chroma);
        PlaneScaler::new(depth, samples, x, y)
    };
    match layout {
        Layout::Planar(depth) => [false, true, true]
            .map(|chroma| plane(depth, Samples::Single, chroma))
            .into(),
        Layout::Paired => {
            let luma = plane(Depth::Eight, Samples::Single, false);
            vec![luma, plane(Depth::Eight, Samples::Paired, true)]
        }
    }
}
