//! The promises of the server as a whole, kept by the binary that ships: one file a promise.
//!
//! They make one test program instead of one each, because on a small machine linking twenty programs takes longer
//! than running them; nextest still runs each test in a process of its own.

mod harness;

mod a_callback_decides_about_publishers;
mod a_ladder_does_with_the_encoders_there_are;
mod a_stream_has_a_picture;
mod a_worker_that_fails_costs_only_its_pipeline;
mod an_encoder_that_fails_is_replaced;
mod any_site_may_play_flv;
mod bad_input_costs_only_its_sender;
mod browser_plays_the_page;
mod codec_change_in_mid_stream_works;
mod config_errors_say_where;
mod encoders_are_probed_chosen_and_counted;
mod enhanced_codecs_stay_intact;
mod every_shipped_file_is_valid;
mod ffmpeg_publish_is_read_back_over_rtmp_flv_and_hls;
mod flv_variants_carry_one_kind;
mod flv_viewers_wait_for_a_publisher;
mod gst_launch_finds_the_server;
mod gstreamer_publishes_and_plays;
mod http_flv_over_http2_plays;
mod ipv6_and_ipv4_listen_side_by_side;
mod late_joiner_starts_at_a_key_frame;
mod local_socket_belongs_to_one_server;
mod metrics_tell_how_pipelines_are;
mod obs_publishes;
mod pictures_stay_in_device_memory;
mod pipelines_are_changed_while_they_run;
mod players_get_what_they_can_read;
mod players_that_stop_reading_harm_nobody;
mod preview_shows_a_stream;
mod proxy_header_gives_the_real_address;
mod publisher_is_followed_and_players_stay;
mod publisher_leaves_players_are_told;
mod publishers_come_and_go_and_leak_nothing;
mod recording_is_finished_and_seekable;
mod rtmpdump_plays;
mod rtmps_by_sni_publishes_and_plays;
mod second_publisher_is_rejected_and_first_goes_on;
mod sigterm_drains;
mod socket_file_publishes_and_plays;
mod streams_come_from_elsewhere;
mod streams_leave_for_other_servers;
mod streams_without_audio_or_video_work;
mod templates_change_without_a_restart;
mod timestamps_that_do_not_start_at_zero_work;
mod too_many_connections_are_refused_with_a_reason;
mod transcode_to_360p_by_configuration;
mod viewers_choose_among_renditions;
mod viewers_start_pipelines_on_demand;
mod virtual_hosts_keep_streams_apart;
mod vlc_and_mpv_play;
mod ws_flv_plays_in_the_browser;
