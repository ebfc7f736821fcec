# Which service the edge stands in front of.
backend service {
    .host = "optimized";
    .port = "8000";
    .probe = service_is_alive;
    .connect_timeout = 1s;
    .first_byte_timeout = 15s;
    .between_bytes_timeout = 15s;
}
