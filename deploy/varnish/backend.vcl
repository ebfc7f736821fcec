# The service behind the edge.
backend service {
    .host = "optimized";
    .port = "8000";
    .probe = service_is_alive;
    .connect_timeout = 1s;
    .first_byte_timeout = 15s;
    .between_bytes_timeout = 15s;
}
