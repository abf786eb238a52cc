{
  description = "streammill, a media server for workstations with hardware encoders";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      forEachSystem = make: nixpkgs.lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});
    in
    {
      devShells = forEachSystem (pkgs: {
        default = pkgs.mkShell {
          nativeBuildInputs = with pkgs; [
            cargo
            cargo-deny
            cargo-nextest
            clippy
            gnumake
            pkg-config
            rustc
            rustfmt
            shellcheck
          ];

          # Their setup hooks put every plugin on GST_PLUGIN_SYSTEM_PATH_1_0.
          buildInputs = with pkgs.gst_all_1; [
            gstreamer
            gst-plugins-base
            gst-plugins-good
            gst-plugins-bad
            gst-plugins-ugly
            gst-libav
          ];

          # What the tests publish and play with.
          packages = with pkgs; [
            chromedriver
            chromium
            ffmpeg
            rtmpdump
          ];
        };
      });
    };
}
