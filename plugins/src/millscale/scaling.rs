//! Between video frames and the scaler: which planes there are, and whether they are all there.

use gst_video::{VideoChromaSite, VideoFormat, VideoFrameFlags, VideoFrameRef, VideoInterlaceMode, prelude::*};

use crate::scaler::{ChromaSite, Depth, Fields, Layout, PictureScaler, Short};

/// A picture that does not fit its caps, or its memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum PictureError {
    /// The buffer's own description says otherwise.
    #[error("a picture has another size than its caps")]
    Size,
    /// Lines come in the wrong order.
    #[error("a picture is stored upside down")]
    UpsideDown,
    /// The lines are said to be where there is no memory.
    #[error("a picture is larger than its buffer")]
    Memory,
    /// A plane ends early.
    #[error(transparent)]
    Short(#[from] Short),
}

/// What is scaled, and by what. Interlaced streams may have progressive pictures among the others.
pub(super) struct Scaling {
    layout: Layout,
    site: ChromaSite,
    from: (u32, u32),
    to: (u32, u32),
    interlaced: VideoInterlaceMode,
    progressive: Option<PictureScaler>,
    fields: Option<PictureScaler>,
}

impl Scaling {
    pub(super) fn of(from: &gst_video::VideoInfo, to: &gst_video::VideoInfo) -> Option<Self> {
        let layout = match from.format() {
            VideoFormat::I420 => Layout::Planar(Depth::Eight),
            VideoFormat::I42010le => Layout::Planar(Depth::Ten),
            VideoFormat::Nv12 => Layout::Paired,
            _ => return None,
        };
        let site = match from.chroma_site() {
            // Streams that do not say have it where MPEG puts it.
            unsaid if unsaid.is_empty() => VideoChromaSite::MPEG2,
            said => said,
        };
        let site = ChromaSite {
            left: site.contains(VideoChromaSite::H_COSITED),
            top: site.contains(VideoChromaSite::V_COSITED),
        };
        Some(Self {
            layout,
            site,
            from: (from.width(), from.height()),
            to: (to.width(), to.height()),
            interlaced: from.interlace_mode(),
            progressive: None,
            fields: None,
        })
    }

    /// The scaler for progressive pictures, or for the others. Both are made when the first of them comes.
    fn scaler(&mut self, fields: Fields) -> &mut PictureScaler {
        let scaler = match fields {
            Fields::Progressive => &mut self.progressive,
            Fields::Interlaced => &mut self.fields,
        };
        let size = |(width, height): (u32, u32)| (width as usize, height as usize);
        scaler.get_or_insert_with(|| PictureScaler::new(self.layout, self.site, fields, size(self.from), size(self.to)))
    }

    pub(super) fn changes_nothing(&self) -> bool {
        self.from == self.to
    }

    /// Scales a picture into another one.
    pub(super) fn scale(
        &mut self,
        from: &VideoFrameRef<&gst::BufferRef>,
        to: &mut VideoFrameRef<&mut gst::BufferRef>,
    ) -> Result<(), PictureError> {
        if (from.width(), from.height()) != self.from || (to.width(), to.height()) != self.to {
            return Err(PictureError::Size);
        }
        let (from_strides, to_strides) = (strides(from)?, strides(to)?);
        let planes: Vec<_> = from.planes_data().into_iter().zip(from_strides).collect();
        let mut targets: Vec<_> = to.planes_data_mut().into_iter().zip(to_strides).collect();
        Ok(self.scaler(self.fields(from.flags())).scale(&planes, &mut targets)?)
    }

    fn fields(&self, flags: VideoFrameFlags) -> Fields {
        match self.interlaced {
            VideoInterlaceMode::Interleaved => Fields::Interlaced,
            VideoInterlaceMode::Mixed if flags.contains(VideoFrameFlags::INTERLACED) => Fields::Interlaced,
            _ => Fields::Progressive,
        }
    }
}

/// Bytes from a line to the next in each plane, of a frame whose lines are all in its buffer.
fn strides(frame: &impl VideoFrameExt) -> Result<Vec<usize>, PictureError> {
    let planes = 0..frame.n_planes();
    let stride = |plane: u32| {
        let stride = frame.plane_stride()[plane as usize];
        let stride = usize::try_from(stride).map_err(|_| PictureError::UpsideDown)?;
        let lines = frame.plane_height(plane).saturating_sub(1) as usize;
        // The last line may end before its stride does, where a picture is cut out of a larger one.
        let component = (0..frame.n_components()).find(|component| frame.comp_plane(*component) == plane);
        let width = component.map_or(0, |component| {
            frame.comp_width(component) as usize * frame.comp_pstride(component).unsigned_abs() as usize
        });
        let end = stride
            .checked_mul(lines)
            .and_then(|end| end.checked_add(frame.plane_offset()[plane as usize] + width));
        end.filter(|end| *end <= frame.buffer().size())
            .ok_or(PictureError::Memory)?;
        Ok(stride)
    };
    planes.map(stride).collect()
}
