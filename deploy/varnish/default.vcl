# The edge: caches what the service allows shared caches to store, and purges it by surrogate key.
#
# `backend.vcl`, on the VCL path, defines the service. Start varnishd with
#   -p http_gzip_support=off    the service compresses, with better codings than gzip; the edge only caches the variants
vcl 4.1;

import std;
import xkey;

# Clients that can purge. Publish the edge's port on loopback or behind a load balancer that blocks PURGE.
acl purgers {
    "localhost";
    "10.0.0.0"/8;
    "172.16.0.0"/12;
    "192.168.0.0"/16;
}

probe service_is_alive {
    .url = "/livez";
    .interval = 1s;
    .timeout = 1s;
    .window = 4;
    .threshold = 2;
    .initial = 2;
}

include "backend.vcl";

sub vcl_recv {
    if (req.method == "PURGE") {
        if (client.ip !~ purgers) {
            return (synth(403, "Purging is not allowed from this address"));
        }
        if (!req.http.Surrogate-Key) {
            return (synth(400, "PURGE needs the header Surrogate-Key"));
        }
        if (req.http.Surrogate-Key == "*") {
            ban("obj.status != 0");
            set req.http.X-Purged = "all";
        } else {
            set req.http.X-Purged = xkey.purge(req.http.Surrogate-Key);
        }
        return (synth(200, "Purged"));
    }

    # One variant for each coding of the service, not for each spelling of the header. q=0 excludes a coding.
    if (req.http.Accept-Encoding ~ "(?i)(^|,)\s*zstd\s*(;(?!\s*q=0(\.0*)?\s*(,|$))|,|$)") {
        set req.http.Accept-Encoding = "zstd";
    } elsif (req.http.Accept-Encoding ~ "(?i)(^|,)\s*br\s*(;(?!\s*q=0(\.0*)?\s*(,|$))|,|$)") {
        set req.http.Accept-Encoding = "br";
    } elsif (req.http.Accept-Encoding ~ "(?i)(^|,)\s*gzip\s*(;(?!\s*q=0(\.0*)?\s*(,|$))|,|$)") {
        set req.http.Accept-Encoding = "gzip";
    } else {
        unset req.http.Accept-Encoding;
    }

    # Of the cookies only that for read-your-writes reaches the service: with it, the built-in code bypasses the cache, so
    # that for a minute a client reads its own write. Other cookies would bypass the cache for every request.
    std.collect(req.http.Cookie, "; ");
    if (req.http.Cookie ~ "(^|;)\s*flightdeck_position=[0-9]{1,19}\s*(;|$)") {
        set req.http.Cookie =
            regsub(req.http.Cookie, "^(?:.*;)?\s*(flightdeck_position=[0-9]{1,19})\s*(?:;.*)?$", "\1");
    } else {
        unset req.http.Cookie;
    }

    # Stale for up to a minute during a refresh, and for up to an hour (beresp.grace) while the service is down.
    if (std.healthy(req.backend_hint)) {
        set req.grace = 60s;
    }
}

sub vcl_backend_response {
    set beresp.http.xkey = beresp.http.Surrogate-Key;
    # No heuristic freshness: without Cache-Control a response is not cached.
    if (!beresp.http.Cache-Control) {
        set beresp.uncacheable = true;
        set beresp.ttl = 0s;
        return (deliver);
    }
    # Only responses that can be served stale; vcl_recv limits it while the service is healthy.
    if (beresp.http.Cache-Control ~ "stale-while-revalidate") {
        set beresp.grace = 1h;
    } else {
        set beresp.grace = 0s;
    }
    # Kept for revalidation with If-None-Match: a 304 refreshes it without its body.
    set beresp.keep = 1h;
    # A 5xx response does not replace a cached one.
    if (beresp.status >= 500 && bereq.is_bgfetch) {
        return (abandon);
    }
}

sub vcl_deliver {
    # RFC 9211: the cache nearest to the client comes last. A hit replaces the Cache-Status that the service set earlier.
    if (obj.hits > 0) {
        set resp.http.Cache-Status = "edge; hit; ttl=" + regsub("" + obj.ttl, "\..*", "");
    } elsif (obj.uncacheable) {
        set resp.http.X-Edge = "edge; fwd=bypass";
    } else {
        set resp.http.X-Edge = "edge; fwd=uri-miss; stored";
    }
    if (resp.http.X-Edge) {
        if (resp.http.Cache-Status) {
            set resp.http.Cache-Status = resp.http.Cache-Status + ", " + resp.http.X-Edge;
        } else {
            set resp.http.Cache-Status = resp.http.X-Edge;
        }
        unset resp.http.X-Edge;
    }
    unset resp.http.Surrogate-Key;
    unset resp.http.xkey;
    unset resp.http.X-Varnish;
    unset resp.http.Via;
}

sub vcl_synth {
    # Problem documents, as the service sends them.
    if (resp.status == 200) {
        set resp.http.X-Purged = req.http.X-Purged;
        set resp.body = "";
        return (deliver);
    }
    set resp.http.Content-Type = "application/problem+json";
    set resp.http.Cache-Control = "no-store";
    set resp.body = {"{"type": "about:blank", "title": ""} + resp.reason + {"", "status": "} + resp.status + "}";
    return (deliver);
}

sub vcl_backend_error {
    set beresp.http.Content-Type = "application/problem+json";
    set beresp.http.Cache-Control = "no-store";
    set beresp.http.Retry-After = "2";
    set beresp.ttl = 0s;
    set beresp.uncacheable = true;
    set beresp.body = {"{"type": "about:blank", "title": "The service does not respond", "status": 503}"};
    return (deliver);
}
