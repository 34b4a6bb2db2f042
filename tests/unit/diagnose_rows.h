/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Evidence as it was measured with real clients, and what must be said of it:
 * ROW(cause, confidence, hello or NO_HELLO, two texts that must be there, the
 * rest of the evidence). The first row of a cause is the plain case, later
 * ones its variants and near misses of other causes.
 */
#define T_2024 1709210096 /* 2024-02-29T12:34:56Z */
#define CA_NOW "1111aaaa2222bbbb3333cccc4444dddd"
#define CA_OLD "9999aaaa2222bbbb3333cccc4444dddd"

#define SSL_ERROR(number) .errors = { { 20, (number) } }, .error_count = 1
#define TLS_DONE .handshake_done = true, .handshake_ms = 1500, .admit = ADMIT_YES
#define OUR_FLIGHT .received = HANDSHAKE(1), \
	.sent = HANDSHAKE(2) | HANDSHAKE(11) | HANDSHAKE(12) | HANDSHAKE(13) | HANDSHAKE(14)
#define ITS_FLIGHT .received = HANDSHAKE(1) | HANDSHAKE(11) | HANDSHAKE(16) | HANDSHAKE(15), \
	.sent = HANDSHAKE(2) | HANDSHAKE(11) | HANDSHAKE(12) | HANDSHAKE(13) | HANDSHAKE(14)
#define DEVICE .present = true, .identity = "0123C0FFEE", .subject = "CN=0123C0FFEE", \
	.issuer = "CN=Home CA", .key = "EC P-256", .version = 3, .length = 492, \
	.chain_length = 1, .not_before = T_2024 - 1000, .not_after = T_2024 + 1000
#define CERTIFICATE(...) .certificate = { DEVICE, ##__VA_ARGS__ }
#define REFUSED(error) ITS_FLIGHT, SSL_ERROR(134), .verify_error = (error), .end = END_CLOSED
#define SILENCE OUR_FLIGHT, .end = END_FIN, .duration_ms = 5300
#define BEFORE(...) .before = { .last_success = T_2024 - 86400, .ca_fingerprint = CA_NOW, \
	.known_length = 492, ##__VA_ARGS__ }
#define RELAY(side_, reason_, why_, ...) .mqtt = { .ended = true, .side = SIDE_##side_, \
	.reason = (reason_), .why = (why_), ##__VA_ARGS__ }
#define START(text) .first_len = sizeof(text) - 1 < 16 ? sizeof(text) - 1 : 16, .first = text
#define LATE_START .presented.not_before = 1700000000

/* ---- not TLS at all ---------------------------------------------------------------- */
ROW(PLAIN_MQTT, HIGH, NO_HELLO, "192.0.2.7", "plain MQTT",
    START("\x10\x1a\0\4MQTT\4\2\0\x3c"), SSL_ERROR(267), .end = END_CLOSED)
ROW(PLAIN_MQTT, HIGH, NO_HELLO, "192.0.2.7", "plain MQTT",
    START("\x10\xac\1\0\6MQIsdp\3\2"), SSL_ERROR(267), .end = END_CLOSED)
ROW(HTTP, HIGH, NO_HELLO, "192.0.2.7", "web", START("GET / HTTP/1.1"), SSL_ERROR(156), .end = END_CLOSED)
ROW(PROXY, HIGH, NO_HELLO, "192.0.2.7", "proxy", START("CONNECT a:443 HT"), SSL_ERROR(155), .end = END_CLOSED)
ROW(OTHER_PROTOCOL, HIGH, NO_HELLO, "192.0.2.7", "SSH", START("SSH-2.0-OpenSSH"), SSL_ERROR(267), .end = END_CLOSED)
ROW(OTHER_PROTOCOL, HIGH, NO_HELLO, "192.0.2.7", "unknown", START("\xde\xad\xbe\xef"), SSL_ERROR(267), .end = END_CLOSED)
ROW(OTHER_PROTOCOL, HIGH, NO_HELLO, "192.0.2.7", "unknown", START("\x10\x1a\0\4MQTX"), SSL_ERROR(267), .end = END_CLOSED)
ROW(NO_WORD, HIGH, NO_HELLO, "192.0.2.7", "scan", SSL_ERROR(294), .end = END_FIN)
ROW(NO_WORD, HIGH, NO_HELLO, "192.0.2.7", "scan", .end = END_RESET)
ROW(SILENT, MEDIUM, NO_HELLO, "192.0.2.7", "20 seconds", .end = END_TIMEOUT, .duration_ms = 20012)
ROW(RECORD_TOO_LONG, HIGH, NO_HELLO, "192.0.2.7", "longer", START("\x16\3\1\xff\xff\1"), SSL_ERROR(198), .end = END_CLOSED)
ROW(OUT_OF_PLACE, MEDIUM, NO_HELLO, "192.0.2.7", "a TLS alert", START("\x15\3\3\0\2\2\x28"), SSL_ERROR(244), .end = END_CLOSED)
ROW(OUT_OF_PLACE, MEDIUM, NO_HELLO, "192.0.2.7", "application data", START("\x17\3\3\0\2\2\x28"), SSL_ERROR(244), .end = END_CLOSED)
ROW(HELLO_CUT, MEDIUM, NO_HELLO, "192.0.2.7", "power or WiFi", START("\x16\3\1\0\xd5\1\0"), .hello_state = HELLO_PART, SSL_ERROR(294), .end = END_FIN)
ROW(HELLO_CUT, MEDIUM, NO_HELLO, "192.0.2.7", "power or WiFi", START("\x16\3\1\0\xd5\1\0"), .hello_state = HELLO_PART, .end = END_RESET)
ROW(TLS_ON_PLAIN, HIGH, HELLO(arduino_new), "192.0.2.7", "plain port", .plain_port = true, .end = END_CLOSED)

/* ---- hello ------------------------------------------------------------------------- */
ROW(TLS_TOO_OLD, HIGH, HELLO(arduino_new), "TLS 1.2", "newer TLS", SSL_ERROR(258), .end = END_CLOSED)
ROW(SSL2, HIGH, NO_HELLO, "192.0.2.7", "SSL 2", START("\x80\x2e\1\0\2\0\x15\0\0"), SSL_ERROR(252), .end = END_CLOSED)
ROW(SSL2, HIGH, NO_HELLO, "192.0.2.7", "SSL 3", START("\x16\3\0\0\x40\1\0"), .hello_state = HELLO_READ, SSL_ERROR(396), .end = END_CLOSED)
ROW(WIFI_MODULE, HIGH, HELLO(rsa_only), "192.0.2.7", "WiFiSSLClient", SSL_ERROR(193), .end = END_CLOSED)
ROW(OLD_CLIENT, HIGH, HELLO(openssl11), "TLS 1.1", "192.0.2.7", SSL_ERROR(193), .end = END_CLOSED)
ROW(NO_SIGNATURE, MEDIUM, HELLO(openssl11), "192.0.2.7", "EC P-256", SSL_ERROR(118), .end = END_CLOSED)
ROW(CLIENT_SUITES, HIGH, HELLO(openssl11), "192.0.2.7", "ECDHE-ECDSA", SSL_ERROR(101), .end = END_CLOSED)
ROW(GATEWAY_KEY, HIGH, HELLO(arduino_new), "192.0.2.7", "EC P-384", SSL_ERROR(193), .end = END_CLOSED, .presented.key = "EC P-384")
ROW(TOO_MUCH, MEDIUM, HELLO(openssl), "192.0.2.7", "more bytes", .received = HANDSHAKE(1), SSL_ERROR(152), .end = END_CLOSED)
ROW(TOO_MUCH, MEDIUM, HELLO(openssl), "192.0.2.7", "more bytes", .received = HANDSHAKE(1), .flooded = true, .end = END_CLOSED)
ROW(BAD_FRAGMENT, HIGH, HELLO(openssl_mfl), "192.0.2.7", "code 1", SSL_ERROR(232), .end = END_CLOSED)
ROW(HELLO_BROKEN, MEDIUM, NO_HELLO, "192.0.2.7", "malformed", START("\x16\3\1\0\xd5\1\0"), .hello_state = HELLO_BAD, SSL_ERROR(159), .end = END_CLOSED)

/* ---- the client says why ----------------------------------------------------------- */
ROW(CLIENT_UNKNOWN_CA, HIGH, HELLO(openssl), "CN=Home CA", "1111aaaa", OUR_FLIGHT, .alert_in = { true, 48 }, SSL_ERROR(1048), .end = END_CLOSED)
ROW(CLIENT_BAD_CERTIFICATE, MEDIUM, HELLO(openssl), "gateway.local", "1970-01-01", OUR_FLIGHT, .alert_in = { true, 42 }, SSL_ERROR(1042), .end = END_CLOSED)
ROW(CLIENT_EXPIRED, HIGH, HELLO(openssl), "2024-02-29T12:34:56Z", "192.0.2.7", OUR_FLIGHT, .alert_in = { true, 45 }, SSL_ERROR(1045), .end = END_CLOSED)
ROW(CLIENT_UNSPECIFIED, MEDIUM, HELLO(openssl), "192.0.2.7", "without giving the reason", OUR_FLIGHT, .alert_in = { true, 46 }, SSL_ERROR(1046), .end = END_CLOSED)
ROW(CLIENT_NAME, MEDIUM, HELLO(mosquitto), "gateway.local", "mosquitto_pub", OUR_FLIGHT, .alert_in = { true, 80 }, SSL_ERROR(1080), .end = END_CLOSED)
ROW(CLIENT_DECRYPT, MEDIUM, HELLO(openssl), "192.0.2.7", "signature", OUR_FLIGHT, .alert_in = { true, 51 }, SSL_ERROR(1051), .end = END_CLOSED)
ROW(CLIENT_ALERT, LOW, HELLO(openssl), "192.0.2.7", "alert 47", OUR_FLIGHT, .alert_in = { true, 47 }, SSL_ERROR(1047), .end = END_CLOSED)
ROW(CLIENT_UNKNOWN_CA, HIGH, HELLO(openssl), "CN=Home CA", "1111aaaa", TLS_DONE, .alert_in = { true, 48 }, SSL_ERROR(1048), .end = END_FIN)

/* ---- the device's certificate ------------------------------------------------------ */
ROW(NO_CERTIFICATE, HIGH, HELLO(arduino_new), "192.0.2.7", "ArduinoBearSSL 1.5.0", ITS_FLIGHT, SSL_ERROR(199), .alert_out = { true, 40 }, .end = END_CLOSED)
ROW(NOT_A_CERTIFICATE, HIGH, HELLO(arduino_new), "192.0.2.7", "not a certificate", ITS_FLIGHT, .errors = { { 13, 168 }, { 20, 524301 } }, .error_count = 2, .end = END_CLOSED)
ROW(FOREIGN_CA, HIGH, HELLO(arduino_new), "0123C0FFEE", "CN=Other CA", REFUSED(20), CERTIFICATE(.issuer = "CN=Other CA"))
ROW(OLD_CA, HIGH, HELLO(arduino_new), "0123C0FFEE", "CN=Home CA", REFUSED(20), CERTIFICATE())
ROW(INTERMEDIATE_MISSING, HIGH, HELLO(arduino_new), "0123C0FFEE", "CN=Sub", REFUSED(20), CERTIFICATE(.issuer = "CN=Sub", .by_intermediate = true))
ROW(SELF_SIGNED, HIGH, HELLO(arduino_new), "0123C0FFEE", "self-signed", REFUSED(18), CERTIFICATE(.issuer = "CN=0123C0FFEE"))
ROW(FOREIGN_CHAIN, HIGH, HELLO(openssl12), "0123C0FFEE", "chain of 2", REFUSED(19), .verify_depth = 1, CERTIFICATE(.chain_length = 2, .issuer = "CN=Other"))
ROW(EXPIRED, HIGH, HELLO(arduino_new), "0123C0FFEE", "2024-02-29T12:51:36Z", REFUSED(10), CERTIFICATE(), .now = T_2024 + 2000)
ROW(CA_EXPIRED, HIGH, HELLO(arduino_new), "0123C0FFEE", "CN=Home CA", REFUSED(10), .verify_depth = 1, CERTIFICATE())
ROW(NOT_YET_VALID, HIGH, HELLO(arduino_new), "2024-02-29T12:18:16Z", "2023", REFUSED(9), CERTIFICATE(), .now = 1700000000)
ROW(CA_PASTED, HIGH, HELLO(arduino_new), "CN=Home CA", "0123C0FFEE", REFUSED(26), CERTIFICATE(.subject = "CN=Home CA"))
ROW(GATEWAY_PASTED, HIGH, HELLO(arduino_new), "CN=gateway.local", "0123C0FFEE", REFUSED(26), CERTIFICATE(.subject = "CN=gateway.local"))
ROW(WRONG_PURPOSE, HIGH, HELLO(arduino_new), "0123C0FFEE", "servers only", REFUSED(26), CERTIFICATE())
ROW(TOO_WEAK, HIGH, HELLO(arduino_new), "0123C0FFEE", "RSA 1024", REFUSED(66), CERTIFICATE(.key = "RSA 1024"))
ROW(TOO_WEAK, HIGH, HELLO(arduino_new), "0123C0FFEE", "EC P-256", REFUSED(68), CERTIFICATE())
ROW(DAMAGED, MEDIUM, HELLO(arduino_new), "0123C0FFEE", "CN=Home CA", REFUSED(7), CERTIFICATE())
ROW(WRONG_KEY, HIGH, HELLO(arduino_new), "0123C0FFEE", "chip", ITS_FLIGHT, SSL_ERROR(123), .admit = ADMIT_YES, .alert_out = { true, 51 }, CERTIFICATE(), .end = END_CLOSED)
ROW(WRONG_CURVE, HIGH, HELLO(openssl12), "0123C0FFEE", "EC P-521", ITS_FLIGHT, SSL_ERROR(378), CERTIFICATE(.key = "EC P-521"), .end = END_CLOSED)
ROW(REVOKED, HIGH, HELLO(arduino_new), "0123C0FFEE", "blocked", REFUSED(23), .admit = ADMIT_REVOKED, CERTIFICATE())
ROW(REVOKED, HIGH, HELLO(arduino_new), "0123C0FFEE", "revoked", REFUSED(23), CERTIFICATE())
ROW(ISSUER_REVOKED, HIGH, HELLO(arduino_new), "0123C0FFEE", "CN=Sub", REFUSED(23), .verify_depth = 1, CERTIFICATE(.issuer = "CN=Sub"))
ROW(NOT_REGISTERED, HIGH, HELLO(arduino_new), "0123C0FFEE", "register", REFUSED(1), .admit = ADMIT_UNKNOWN, CERTIFICATE())
ROW(ENROLMENT_ENDED, HIGH, HELLO(arduino_new), "0123C0FFEE", "ended", REFUSED(1), .admit = ADMIT_EXPIRED, CERTIFICATE())
ROW(NO_IDENTITY, HIGH, HELLO(arduino_new), "0123C0FFEE", "no map", REFUSED(1), .admit = ADMIT_BAD, .admit_why = "no map", CERTIFICATE())
ROW(REGISTER_BROKEN, HIGH, HELLO(arduino_new), "0123C0FFEE", "disk is full", REFUSED(1), .admit = ADMIT_ERROR, .admit_why = "disk is full", CERTIFICATE())
ROW(CRL_MISSING, HIGH, HELLO(arduino_new), "0123C0FFEE", "CN=Home CA", REFUSED(3), CERTIFICATE())
ROW(CRL_STALE, HIGH, HELLO(arduino_new), "0123C0FFEE", "2024-02-29T12:34:56Z", REFUSED(12), CERTIFICATE())
ROW(VERIFY_OTHER, LOW, HELLO(arduino_new), "0123C0FFEE", "check 34", REFUSED(34), CERTIFICATE())

/* ---- silence ----------------------------------------------------------------------- */
ROW(NETWORK_LOST, MEDIUM, HELLO(arduino_new), "192.0.2.7", "700 bytes", OUR_FLIGHT, .end = END_TIMEOUT, .unacknowledged = 700)
ROW(NAME_MISMATCH, HIGH, HELLO(arduino_new), "gateway.local", "\"broker.lan\"", SILENCE, .presented.names = { "broker.lan" }, .presented.name_count = 1)
ROW(OUR_CERTIFICATE, HIGH, HELLO(arduino_new), "192.0.2.7", "P-384 signature", SILENCE, .presented.fault = "P-384 signature")
ROW(OUR_EXPIRED, HIGH, HELLO(arduino_new), "2024-03-01T12:34:56Z", "2024-03-01T12:34:57Z", SILENCE, .now = T_2024 + 86401)
ROW(SHORT_SIGNATURE, HIGH, HELLO(arduino_new), "192.0.2.7", "short", SILENCE, .presented.short_signature = true)
ROW(CA_REPLACED, HIGH, HELLO(arduino_new), "2024-02-28", "1111aaaa", SILENCE, BEFORE(.ca_fingerprint = CA_OLD))
ROW(LACKS_CA, HIGH, HELLO(arduino_new), "CN=Home CA", "every 5 s", SILENCE, .before.retry_ms = 5230)
ROW(LACKS_CA, HIGH, HELLO(arduino_new), "192.0.2.7", "CN=Home CA", OUR_FLIGHT, .end = END_RESET)
ROW(LACKS_CA, HIGH, HELLO(firmware), "192.0.2.7", "CN=Home CA", OUR_FLIGHT, .end = END_TIMEOUT)
ROW(LACKS_CA, HIGH, HELLO(arduino_nosni), "192.0.2.7", "CN=Home CA", SILENCE, .presented.names = { "other" }, .presented.name_count = 1)
ROW(LACKS_CA, HIGH, HELLO(arduino_new), "192.0.2.7", "CN=Home CA", SILENCE, .presented.names = { "*.local" }, .presented.name_count = 1)
ROW(LACKS_CA_OR_TIME, MEDIUM, HELLO(arduino_new), "CN=Home CA", "clock", SILENCE, LATE_START)
ROW(LACKS_CA_OR_TIME, MEDIUM, HELLO(arduino_new), "192.0.2.7", "clock", SILENCE, .presented.not_after = 0)
ROW(LOST_TIME, MEDIUM, HELLO(arduino_new), "2024-02-28T12:34:56Z", "no time", SILENCE, LATE_START, BEFORE())
ROW(PERHAPS_NO_SIGNATURE, MEDIUM, HELLO(arduino_new), "432 bytes", "2024-02-28", SILENCE, BEFORE(.known_length = 432, .failures = 2))
ROW(SKETCH_CHANGED, MEDIUM, HELLO(arduino_new), "2024-02-28", "again and again", SILENCE, BEFORE(.known_length = 433, .failures = 2))
ROW(CHANCE, LOW, HELLO(arduino_new), "2024-02-28", "65536", SILENCE, BEFORE())
ROW(CANNOT_SIGN, HIGH, HELLO(arduino_new), "0123C0FFEE", "could not sign", .received = HANDSHAKE(1) | HANDSHAKE(11) | HANDSHAKE(16), .sent = HANDSHAKE(14), .admit = ADMIT_YES, CERTIFICATE(), .end = END_FIN)
ROW(CLIENT_LEFT, LOW, HELLO(openssl), "192.0.2.7", "OpenSSL", .received = HANDSHAKE(1), .sent = HANDSHAKE(2) | HANDSHAKE(20), .end = END_FIN)
ROW(CLIENT_LEFT, LOW, HELLO(arduino_new), "192.0.2.7", "left", .received = HANDSHAKE(1), .end = END_FIN)
ROW(STALLED, MEDIUM, HELLO(openssl12), "192.0.2.7", "20 seconds", OUR_FLIGHT, .end = END_TIMEOUT, .duration_ms = 20000)

/* ---- after the handshake ----------------------------------------------------------- */
ROW(CONNECT_TOO_LONG, HIGH, HELLO(arduino_new), "0123C0FFEE", "256 bytes", TLS_DONE, CERTIFICATE(), .alert_in = { true, 0 }, .open_ms = 12, .end = END_FIN, .mqtt.phase = PHASE_WAIT_CONNECT)
ROW(LEFT_BEFORE_CONNECT, MEDIUM, HELLO(openssl12), "0123C0FFEE", "s_client", TLS_DONE, CERTIFICATE(), .alert_in = { true, 0 }, .open_ms = 12, .end = END_FIN, .mqtt.phase = PHASE_WAIT_CONNECT)
ROW(LEFT_BEFORE_CONNECT, MEDIUM, HELLO(openssl), "0123C0FFEE", "TLS 1.3", TLS_DONE, CERTIFICATE(), .open_ms = 5000, .end = END_RESET, .mqtt.phase = PHASE_WAIT_CONNECT)
ROW(LOST_IN_SESSION, MEDIUM, HELLO(arduino_new), "0123C0FFEE", "power or WiFi", TLS_DONE, CERTIFICATE(), .open_ms = 12, .end = END_RESET, .mqtt.phase = PHASE_WAIT_CONNECT)
ROW(NO_CONNACK, MEDIUM, HELLO(arduino_new), "0123C0FFEE", "every 15 s", TLS_DONE, CERTIFICATE(), .app_in = 60, .end = END_FIN, .mqtt.phase = PHASE_LIVE, .mqtt.connack_sent = true, .before = { .failures = 2, .retry_ms = 15100 })
ROW(LOST_IN_SESSION, MEDIUM, HELLO(arduino_new), "0123C0FFEE", "power or WiFi", TLS_DONE, CERTIFICATE(), .app_in = 600, SSL_ERROR(294), .end = END_FIN, .mqtt.phase = PHASE_LIVE)
ROW(LOST_IN_SESSION, MEDIUM, HELLO(arduino_new), "0123C0FFEE", "power or WiFi", TLS_DONE, CERTIFICATE(), .app_in = 600, .end = END_RESET, .mqtt.phase = PHASE_LIVE, .mqtt.connack_sent = true, .before = { .failures = 2, .retry_ms = 5000 })
ROW(RECORD_DAMAGED, MEDIUM, HELLO(arduino_new), "0123C0FFEE", "damaged", TLS_DONE, CERTIFICATE(), SSL_ERROR(281), .end = END_CLOSED, .mqtt.phase = PHASE_LIVE)
ROW(RENEGOTIATION, HIGH, HELLO(openssl12), "0123C0FFEE", "renegotiate", TLS_DONE, CERTIFICATE(), .renegotiation = true, .app_in = 60, .mqtt.phase = PHASE_LIVE)

/* ---- MQTT -------------------------------------------------------------------------- */
ROW(CONNECT_MISSING, HIGH, HELLO(arduino_new), "0123C0FFEE", "10 seconds", TLS_DONE, CERTIFICATE(), .open_ms = 10000, .end = END_TIMEOUT, RELAY(GATEWAY, 0x80, "sent no CONNECT", .phase = PHASE_WAIT_CONNECT))
ROW(CONNECT_MISSING, HIGH, HELLO(arduino_new), "0123C0FFEE", "5 seconds", TLS_DONE, CERTIFICATE(), .alert_in = { true, 0 }, .open_ms = 5000, .end = END_FIN, .mqtt.phase = PHASE_WAIT_CONNECT)
ROW(CONNECT_MISSING, HIGH, HELLO(arduino_new), "0123C0FFEE", "10 seconds", TLS_DONE, CERTIFICATE(), .app_in = 3, .open_ms = 10000, .end = END_TIMEOUT, .mqtt.phase = PHASE_WAIT_CONNECT)
ROW(CONNECT_NOT_FIRST, HIGH, HELLO(arduino_new), "0123C0FFEE", "not an MQTT CONNECT", TLS_DONE, CERTIFICATE(), .app_in = 20, .end = END_CLOSED, RELAY(DEVICE, 0x82, "sent something else before CONNECT", .phase = PHASE_WAIT_CONNECT, .first_byte = 0x30))
ROW(CONNECT_MALFORMED, HIGH, HELLO(arduino_new), "0123C0FFEE", "malformed", TLS_DONE, CERTIFICATE(), .app_in = 20, .end = END_CLOSED, RELAY(DEVICE, 0x81, "sent a malformed CONNECT", .phase = PHASE_WAIT_CONNECT, .first_byte = 0x10))
ROW(PROTOCOL_LEVEL, HIGH, HELLO(arduino_new), "0123C0FFEE", "level 9", TLS_DONE, CERTIFICATE(), .app_in = 20, .end = END_CLOSED, RELAY(DEVICE, 0x84, "speaks a version of MQTT that is not supported", .phase = PHASE_WAIT_CONNECT, .first_byte = 0x10, .level = 9))
ROW(CLIENT_ID, HIGH, HELLO(arduino_new), "0123C0FFEE", "\"a/b#\"", TLS_DONE, CERTIFICATE(), .app_in = 20, .end = END_CLOSED, RELAY(DEVICE, 0x85, "sent a client identifier that cannot be used upstream", .phase = PHASE_WAIT_CONNECT, .client_id = "a/b#"))
ROW(KEEPALIVE_LONG, HIGH, HELLO(arduino_new), "0123C0FFEE", "3600 s", TLS_DONE, CERTIFICATE(), .app_in = 20, .end = END_CLOSED, RELAY(DEVICE, 0x85, "asked for a longer keepalive than the limit", .phase = PHASE_WAIT_CONNECT, .keepalive = 3600))
ROW(NO_RULES, HIGH, HELLO(arduino_new), "0123C0FFEE", "expanded", TLS_DONE, CERTIFICATE(), .app_in = 20, .end = END_CLOSED, RELAY(DEVICE, 0x87, "has no topic rules: they cannot be expanded for it", .phase = PHASE_WAIT_CONNECT))
ROW(WILL_DENIED, HIGH, HELLO(arduino_new), "0123C0FFEE", "\"gone/x\"", TLS_DONE, CERTIFICATE(), .app_in = 20, .end = END_CLOSED, RELAY(DEVICE, 0x87, "has a will whose topic is denied", .phase = PHASE_WAIT_CONNECT, .topic = "gone/x", .denied = DENIED_WILL))
ROW(PUBLISH_DENIED, HIGH, HELLO(arduino_new), "0123C0FFEE", "\"light/x\"", TLS_DONE, CERTIFICATE(), .app_in = 200, .mqtt = { .phase = PHASE_LIVE, .topic = "light/x", .map = "lamps" })
ROW(PUBLISH_DENIED, HIGH, HELLO(arduino_new), "0123C0FFEE", "\"light/x\"", TLS_DONE, CERTIFICATE(), .app_in = 200, .end = END_CLOSED, RELAY(DEVICE, 0x87, "published to a topic that it may not", .phase = PHASE_LIVE, .topic = "light/x"))
ROW(SUBSCRIBE_DENIED, HIGH, HELLO(arduino_new), "0123C0FFEE", "\"all/#\"", TLS_DONE, CERTIFICATE(), .app_in = 200, .mqtt = { .phase = PHASE_LIVE, .topic = "all/#", .denied = DENIED_SUBSCRIBE })
ROW(KEEPALIVE_TIMEOUT, HIGH, HELLO(arduino_new), "0123C0FFEE", "15 s", TLS_DONE, CERTIFICATE(), .app_in = 200, .end = END_TIMEOUT, RELAY(GATEWAY, 0x8d, "silent for longer than its keepalive", .phase = PHASE_LIVE, .keepalive = 15))
ROW(KEEPALIVE_TIMEOUT, HIGH, HELLO(arduino_new), "0123C0FFEE", "15 s", TLS_DONE, CERTIFICATE(), .app_in = 200, .end = END_TIMEOUT, RELAY(GATEWAY, 0x8d, "silent", .phase = PHASE_LIVE, .keepalive = 15, .topic = "denied/before"))
ROW(TAKEOVER_LOOP, HIGH, HELLO(arduino_new), "0123C0FFEE", "5 times", TLS_DONE, CERTIFICATE(), .app_in = 200, .end = END_CLOSED, RELAY(BROKER, 0x8e, "taken over", .phase = PHASE_LIVE, .takeovers = 5, .takeover_addresses = 2))
ROW(RECONNECT_LOOP, MEDIUM, HELLO(arduino_new), "0123C0FFEE", "5 times", TLS_DONE, CERTIFICATE(), .app_in = 200, .end = END_CLOSED, RELAY(BROKER, 0x8e, "taken over", .phase = PHASE_LIVE, .takeovers = 5, .takeover_addresses = 1))
ROW(TAKEN_OVER, HIGH, HELLO(arduino_new), "0123C0FFEE", "anew", TLS_DONE, CERTIFICATE(), .app_in = 200, .end = END_CLOSED, RELAY(BROKER, 0x8e, "taken over", .phase = PHASE_LIVE, .takeovers = 2))
ROW(PACKET_TOO_LARGE, HIGH, HELLO(arduino_new), "0123C0FFEE", "size limit", TLS_DONE, CERTIFICATE(), .app_in = 200, .end = END_CLOSED, RELAY(DEVICE, 0x95, "sent a packet over the size limit", .phase = PHASE_LIVE))
ROW(LIMIT_HIT, HIGH, HELLO(arduino_new), "0123C0FFEE", "limits.subscriptions", TLS_DONE, CERTIFICATE(), .app_in = 200, .end = END_CLOSED, RELAY(DEVICE, 0x97, "", .phase = PHASE_LIVE, .limit = "limits.subscriptions"))
ROW(PACKET_MALFORMED, HIGH, HELLO(arduino_new), "0123C0FFEE", "second CONNECT", TLS_DONE, CERTIFICATE(), .app_in = 200, .end = END_CLOSED, RELAY(DEVICE, 0x82, "sent a second CONNECT", .phase = PHASE_LIVE))
ROW(ENDED_HERE, HIGH, HELLO(arduino_new), "0123C0FFEE", "operator", TLS_DONE, CERTIFICATE(), .app_in = 200, .end = END_CLOSED, RELAY(GATEWAY, 0x98, "disconnected by the operator", .phase = PHASE_LIVE))
ROW(GATEWAY_FAULT, MEDIUM, HELLO(arduino_new), "0123C0FFEE", "kept subscriptions", TLS_DONE, CERTIFICATE(), .app_in = 200, .end = END_CLOSED, RELAY(GATEWAY, 0x83, "could not read or write the kept subscriptions", .phase = PHASE_WAIT_CONNACK))

/* ---- the plain port ---------------------------------------------------------------- */
ROW(PROTOCOL_LEVEL, HIGH, NO_HELLO, "192.0.2.7", "level 9", .plain_port = true, START("\x10\x1a\0\4MQTT\x9\2\0\x3c"), .app_in = 20, .end = END_CLOSED, RELAY(DEVICE, 0x84, "speaks a version of MQTT that is not supported", .phase = PHASE_WAIT_CONNECT, .first_byte = 0x10, .level = 9))
ROW(HTTP, HIGH, NO_HELLO, "192.0.2.7", "web", .plain_port = true, START("GET / HTTP/1.1"), .end = END_CLOSED, RELAY(DEVICE, 0x82, "sent something else before CONNECT", .phase = PHASE_WAIT_CONNECT, .first_byte = 'G'))

/* ---- the broker -------------------------------------------------------------------- */
ROW(BROKER_AWAY, HIGH, HELLO(arduino_new), "0123C0FFEE", "connection refused", TLS_DONE, CERTIFICATE(), .app_in = 60, .end = END_CLOSED, RELAY(BROKER, 0x88, "is away", .phase = PHASE_DIAL, .broker = "connection refused"))
ROW(BROKER_SILENT, HIGH, HELLO(arduino_new), "0123C0FFEE", "8 seconds", TLS_DONE, CERTIFICATE(), .app_in = 60, .open_ms = 8000, .end = END_TIMEOUT, RELAY(BROKER, 0x88, "is away", .phase = PHASE_WAIT_CONNACK))
ROW(BROKER_REFUSED, HIGH, HELLO(arduino_new), "0123C0FFEE", "reason 135: not authorized", TLS_DONE, CERTIFICATE(), .app_in = 60, .end = END_CLOSED, RELAY(BROKER, 0x87, "not authorized", .phase = PHASE_WAIT_CONNACK))
ROW(BROKER_REFUSED, HIGH, HELLO(arduino_new), "0123C0FFEE", "server unavailable", TLS_DONE, CERTIFICATE(), .app_in = 60, .end = END_CLOSED, RELAY(BROKER, 0x88, "server unavailable", .phase = PHASE_WAIT_CONNACK))
ROW(BROKER_CLOSED, HIGH, HELLO(arduino_new), "0123C0FFEE", "shut down", TLS_DONE, CERTIFICATE(), .app_in = 60, .end = END_CLOSED, RELAY(BROKER, 0x8b, "shut down", .phase = PHASE_LIVE))
ROW(BROKER_MALFORMED, HIGH, HELLO(arduino_new), "0123C0FFEE", "malformed SUBACK", TLS_DONE, CERTIFICATE(), .app_in = 60, .end = END_CLOSED, RELAY(BROKER, 0x81, "sent a malformed SUBACK", .phase = PHASE_LIVE))

/* ---- warnings and the rest --------------------------------------------------------- */
ROW(NO_RANDOM, HIGH, HELLO(arduino_new), "0123C0FFEE", "random", TLS_DONE, CERTIFICATE(), .app_in = 60, .mqtt.phase = PHASE_LIVE, .before.random_repeated = true)
ROW(NO_RANDOM, HIGH, HELLO(arduino_new), "0123C0FFEE", "random", REFUSED(1), .admit = ADMIT_RANDOM, CERTIFICATE(), .before.random_repeated = true)
ROW(LACKS_CA, HIGH, HELLO(arduino_new), "192.0.2.7", "CN=Home CA", SILENCE, .before.random_repeated = true)
ROW(NOTHING, HIGH, HELLO(openssl), "0123C0FFEE", "Nothing", TLS_DONE, CERTIFICATE(), .app_in = 60, .mqtt.phase = PHASE_LIVE, .before.random_repeated = true)
ROW(V1_CERTIFICATE, HIGH, HELLO(arduino_new), "0123C0FFEE", "version 1", TLS_DONE, CERTIFICATE(.version = 1), .app_in = 60, .mqtt.phase = PHASE_LIVE)
ROW(UNEXPLAINED, LOW, HELLO(arduino_new), "192.0.2.7", "20:999", OUR_FLIGHT, SSL_ERROR(999), .end = END_CLOSED)
ROW(NOTHING, HIGH, HELLO(arduino_new), "0123C0FFEE", "Nothing", TLS_DONE, CERTIFICATE(), .app_in = 600, .end = END_FIN, RELAY(DEVICE, 0, "", .phase = PHASE_LIVE, .goodbye = true))
ROW(NOTHING, HIGH, NO_HELLO, "192.0.2.7", "Nothing", .end = END_OPEN)
