/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Evidence in, verdict out: why did this connection fail, and what should its
 * owner do? Boards say nothing when they refuse a gateway, so the answer is
 * reasoned from all that was seen: bytes, handshake, certificate, history.
 *
 * Pure: no sockets, no clock, no OpenSSL, no memory taken; any thread. The
 * caller collects. A zeroed evidence is the empty one: whatever is not known
 * stays zero. Texts are NUL-terminated and may hold what a stranger sent;
 * the verdict's texts are clean: printable, valid UTF-8.
 */
#ifndef GATEWAY_DIAGNOSE_DIAGNOSE_H
#define GATEWAY_DIAGNOSE_DIAGNOSE_H

#include "diagnose/first_bytes.h"
#include "diagnose/hello.h"

/* ---- causes ------------------------------------------------------------------------ */

enum diagnose_cause {
#define CAUSE(name, ...) CAUSE_##name,
#include "diagnose/causes.def"
#undef CAUSE
	CAUSE_COUNT
};

enum diagnose_confidence { CONFIDENCE_LOW, CONFIDENCE_MEDIUM, CONFIDENCE_HIGH };

enum diagnose_class {
	CLASS_FAILURE,  /* a device did not get what it wanted, whoever is at fault */
	CLASS_STRANGER, /* scans and other programs: count, do not alarm */
	CLASS_WARNING,  /* it worked, but should not stay so */
	CLASS_NOTICE,   /* it is as it should be */
};

/* Sections of the manual page. */
#define DIAGNOSE_GROUP_LIST(X)                                 \
	X(NOT_TLS, "Not MQTT over TLS")                        \
	X(HELLO, "The first message of TLS")                   \
	X(ALERT, "The client says why")                        \
	X(CERTIFICATE, "The certificate of the device")        \
	X(SILENCE, "The device hangs up without a word")       \
	X(SESSION, "After the handshake")                      \
	X(MQTT, "MQTT")                                        \
	X(BROKER, "The broker")                                \
	X(WARNING, "Warnings and the rest")

enum diagnose_group {
#define X(name, title) GROUP_##name,
	DIAGNOSE_GROUP_LIST(X)
#undef X
	GROUP_COUNT
};

struct diagnose_entry {
	const char *id; /* stable: for scripts */
	enum diagnose_group group;
	enum diagnose_class class;
	enum diagnose_confidence confidence;
	const char *title, *sentence, *remedy; /* the last two with {words} */
	const char *codes; /* what a sketch can print; "" nothing */
};

/* Never NULL; UNEXPLAINED's for numbers out of range. */
const struct diagnose_entry *diagnose_entry(enum diagnose_cause cause);
/* Scans are none, and neither are warnings. */
bool diagnose_is_failure(enum diagnose_cause cause);
const char *diagnose_group_text(enum diagnose_group group);
const char *diagnose_confidence_text(enum diagnose_confidence confidence);

/* ---- evidence ---------------------------------------------------------------------- */

#define DIAGNOSE_NAME 128  /* bytes of a name, with its NUL */
#define DIAGNOSE_TOPIC 256
#define DIAGNOSE_NAMES 8
#define DIAGNOSE_ERRORS 8

enum diagnose_end {
	END_OPEN,      /* still open */
	END_FIN,       /* the peer closed */
	END_RESET,     /* the peer reset */
	END_TIMEOUT,   /* our own deadline */
	END_CLOSED,    /* we closed for another reason (an alert was sent, say) */
};

enum diagnose_admit { /* as tls_admit in tls/tls.h, and the policy on bad randoms */
	ADMIT_NOT_ASKED,
	ADMIT_YES,
	ADMIT_UNKNOWN,
	ADMIT_REVOKED,
	ADMIT_EXPIRED,
	ADMIT_BAD,
	ADMIT_ERROR,
	ADMIT_RANDOM, /* refused: its random numbers repeat */
};

enum diagnose_phase { /* how far MQTT had come when it ended */
	PHASE_NONE,
	PHASE_WAIT_CONNECT,
	PHASE_DIAL,
	PHASE_WAIT_CONNACK,
	PHASE_LIVE,
};

enum diagnose_side { SIDE_DEVICE, SIDE_BROKER, SIDE_GATEWAY }; /* as relay_side */

struct diagnose_alert {
	bool seen;
	uint8_t number;
};

/* An entry of OpenSSL's error queue. */
struct diagnose_error {
	int library; /* 20: SSL */
	int reason;
};

/* Handshake messages as a set: HANDSHAKE(n) for message type n. */
#define HANDSHAKE(type) (1u << (type))

/* The certificate that the device sent, whether or not it was accepted. */
struct diagnose_certificate {
	bool present;
	char identity[DIAGNOSE_NAME]; /* or common name */
	char subject[DIAGNOSE_NAME], issuer[DIAGNOSE_NAME];
	int64_t not_before, not_after; /* seconds since 1970 */
	char key[32];           /* "EC P-256" */
	unsigned version;       /* 1 or 3; 0 unknown */
	unsigned length;        /* bytes of DER */
	unsigned chain_length;  /* certificates sent */
	bool by_intermediate;   /* its issuer is an intermediate of our CA */
};

/* What we presented. */
struct diagnose_presented {
	char names[DIAGNOSE_NAMES][DIAGNOSE_NAME]; /* dNSNames; the CN only if there are none */
	unsigned name_count;
	char subject[DIAGNOSE_NAME], ca_subject[DIAGNOSE_NAME];
	char ca_fingerprint[65];
	int64_t not_before, not_after;
	char key[32];
	char fault[DIAGNOSE_NAME]; /* that boards do not forgive, found at start; "" none */
	bool short_signature;      /* both numbers of the signature are short */
};

/* What was known of the address or device before this connection. */
struct diagnose_before {
	int64_t last_success;    /* wall time, 0 never */
	char ca_fingerprint[65]; /* of our CA at that time */
	int64_t last_failure;
	unsigned failures;       /* in a row, before this one */
	uint32_t retry_ms;       /* estimate of the gap between attempts, 0 unknown */
	unsigned known_length;   /* bytes of its certificate when it last succeeded, 0 unknown */
	bool random_repeated;    /* this connection's client random was seen before */
};

struct diagnose_mqtt {
	enum diagnose_phase phase;
	enum diagnose_side side; /* who caused the end, or the denial */
	uint8_t reason;          /* enum mqtt_reason; 0: the device's DISCONNECT, or none */
	char why[DIAGNOSE_NAME]; /* the relay's words: "sent a second CONNECT" */
	bool ended;              /* the relay is over, and reason and why tell why */
	char topic[DIAGNOSE_TOPIC]; /* denied; "" none */
	char map[64];               /* whose rules denied it */
	enum { DENIED_PUBLISH, DENIED_SUBSCRIBE, DENIED_WILL } denied;
	char client_id[DIAGNOSE_NAME]; /* as the device sent it */
	uint8_t level;           /* of the protocol, in CONNECT */
	uint8_t first_byte;      /* of all that was decrypted; 0 nothing */
	uint16_t keepalive;      /* seconds */
	unsigned takeovers;      /* of this device within the last minute */
	unsigned takeover_addresses; /* from which those came that were taken over */
	bool connack_sent, after_connect; /* any packet of the device after CONNECT */
	bool goodbye;            /* the device sent DISCONNECT */
	char broker[DIAGNOSE_NAME]; /* state of the connection to it: "connection refused" */
	char limit[64];          /* name of the limit that was hit; "" none */
};

struct diagnose_evidence {
	char address[64];
	bool plain_port;
	uint8_t first[FIRST_BYTES_MAX];
	uint8_t first_len;
	enum { HELLO_NONE, HELLO_PART, HELLO_READ, HELLO_BAD } hello_state;
	struct hello hello;
	uint32_t received, sent;         /* sets of handshake messages */
	uint32_t handshake_ms;           /* from the accept to the end of the handshake */
	uint32_t duration_ms;            /* from the accept to the end */
	uint32_t open_ms;                /* from the end of the handshake to the end */
	bool handshake_done, renegotiation;
	bool flooded;                    /* more bytes than a handshake may have */
	struct diagnose_alert alert_in, alert_out;
	int verify_error, verify_depth;  /* X509_V_ERR_* */
	struct diagnose_error errors[DIAGNOSE_ERRORS];
	unsigned error_count;
	enum diagnose_end end;
	uint32_t unacknowledged;         /* bytes sent that the peer never confirmed */
	uint64_t app_in, app_out;        /* decrypted bytes */
	enum diagnose_admit admit;
	char admit_why[DIAGNOSE_NAME];
	struct diagnose_certificate certificate;
	struct diagnose_presented presented;
	struct diagnose_before before;
	struct diagnose_mqtt mqtt;
	int64_t now;                     /* our wall clock */
};

/* ---- verdict ----------------------------------------------------------------------- */

/* What decided. */
#define DIAGNOSE_BY_LIST(X)                                \
	X(FIRST_BYTES, "first bytes")                      \
	X(HELLO, "ClientHello")                            \
	X(MESSAGES, "handshake messages")                  \
	X(ALERT_IN, "alert received")                      \
	X(REASON, "reason of the TLS library")             \
	X(VERIFY, "certificate check")                     \
	X(CERTIFICATE, "certificate of the device")        \
	X(ADMISSION, "register of devices")                \
	X(PRESENTED, "certificate of the gateway")         \
	X(END, "how it ended")                             \
	X(UNACKNOWLEDGED, "bytes not acknowledged")        \
	X(APPLICATION, "bytes after the handshake")        \
	X(HISTORY, "what was seen before")                 \
	X(MQTT, "MQTT")                                    \
	X(BROKER, "the broker")

enum {
#define X(name, text) BY_##name##_BIT,
	DIAGNOSE_BY_LIST(X)
#undef X
	BY_COUNT
};

enum diagnose_by {
#define X(name, text) BY_##name = 1 << BY_##name##_BIT,
	DIAGNOSE_BY_LIST(X)
#undef X
};

#define DIAGNOSE_SENTENCE 640
#define DIAGNOSE_REMEDY 640

struct diagnose_verdict {
	enum diagnose_cause cause;
	enum diagnose_confidence confidence;
	char sentence[DIAGNOSE_SENTENCE];
	char remedy[DIAGNOSE_REMEDY];
	const char *codes; /* static */
	uint32_t decided_by; /* set of enum diagnose_by */
};

/* The one most likely cause. */
void diagnose(const struct diagnose_evidence *evidence, struct diagnose_verdict *verdict);
/* Say it in the words of the register (admit_why), which know more of this one device. */
void diagnose_refused(const struct diagnose_evidence *evidence, struct diagnose_verdict *verdict);
/*
 * Something to warn of, whatever diagnose() said (CAUSE_NO_RANDOM,
 * CAUSE_V1_CERTIFICATE)? False: nothing, and *verdict is as it was.
 */
bool diagnose_warning(const struct diagnose_evidence *evidence, struct diagnose_verdict *verdict);
/* The words for one bit of decided_by, with its value: "alert received: 48". */
void diagnose_by_text(const struct diagnose_evidence *evidence, enum diagnose_by by, char *text,
                      size_t size);
/*
 * Fill first, hello and hello_state from all that the client has sent so far;
 * may be called again with more.
 */
void diagnose_take_start(struct diagnose_evidence *evidence, struct span bytes);

#endif
