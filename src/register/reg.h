/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The register of devices: SQLite in WAL mode, shared by gatewayd and
 * gatewayctl through this library (the database file is the only meeting
 * point, so gatewayctl works while gatewayd is down). A handle belongs to one
 * thread; open one per worker. Only this folder knows the schema, which has a
 * version and migrates forward.
 *
 * The database holds the subscriptions of persistent sessions too: the broker
 * knows the mapped filters, only we know which device filters they stand for.
 */
#ifndef GATEWAY_REGISTER_REG_H
#define GATEWAY_REGISTER_REG_H

#include "base/err.h"
#include "base/span.h"

#define REG_NAME_MAX 512
#define REG_WHY_SIZE 256
#define REG_REASON_SIZE 32 /* "cessationOfOperation" and its like */

#define REG_STATE_LIST(X)       \
	X(ENROLLED, "enrolled") \
	X(REVOKED, "revoked")

enum reg_state {
#define X(name, text) REG_##name,
	REG_STATE_LIST(X)
#undef X
};
const char *reg_state_text(enum reg_state state);
int reg_state_parse(const char *text); /* -1: none */

struct reg;

enum reg_mode {
	REG_READ,   /* must exist */
	REG_WRITE,  /* must exist */
	REG_CREATE, /* made (0660) when it is not there */
};

/*
 * why: REG_WHY_SIZE bytes, a sentence on failure: ERR_NOT_FOUND (no such
 * file, REG_READ and REG_WRITE), ERR_VERSION (made by a newer release),
 * ERR_DATABASE, -EACCES. A reader updates the layout too, when it may. Waits
 * at most 5 s for another writer.
 */
int reg_open(const char *file, enum reg_mode mode, struct reg **out, char *why) MUST_CHECK;
void reg_close(struct reg *reg);
/* The sentence for the last ERR_DATABASE of this handle. */
const char *reg_error(const struct reg *reg);
/*
 * For a thread that must not stand still: wait at most that long for another
 * writer (a large fleet file takes seconds), and not at all within a second
 * after a wait that was in vain. The change fails with ERR_DATABASE then.
 */
void reg_patience(struct reg *reg, unsigned ms);
/*
 * Changes whenever another handle committed to the devices (not for last
 * seen), so that sessions need a second look. Cheap: a look at shared memory
 * and, when something was committed, one row.
 */
uint64_t reg_generation(struct reg *reg);

/* ---- devices ------------------------------------------------------------------------ */

/*
 * Unless more is said, these return 0, ERR_DATABASE (see reg_error()), for a
 * name that is not there ERR_NOT_FOUND, for a change without reg_actor()
 * ERR_DENIED, or what each() returned when that is not 0.
 */

struct reg_device {
	char name[REG_NAME_MAX + 1]; /* the identity */
	char fingerprint[65];        /* of the key; "" when only the name is known */
	enum reg_state state;
	char group[REG_NAME_MAX + 1]; /* "" none */
	char serial[65];             /* of the newest certificate, hex */
	char certificate_hash[65];
	int64_t not_before, not_after; /* of the newest certificate; 0 unknown */
	int64_t enrolled_at;
	int64_t first_seen; /* admitted or refused; 0 never */
	int64_t last_seen;  /* admitted; a refusal is in last_failure_at */
	char last_address[64];
	char last_failure[256]; /* sentence; "" none */
	int64_t last_failure_at;
	int64_t revoked_at; /* 0 when it is not revoked */
	char revoked_reason[REG_REASON_SIZE];
	bool approved; /* its self-signed certificate is let in, by its key */
};

/*
 * Admission look-up on the handshake path, a prepared statement: the device
 * of that name. 0, ERR_NOT_FOUND, ERR_DATABASE.
 */
int reg_find(struct reg *reg, struct span name, struct reg_device *out) MUST_CHECK;
int reg_find_fingerprint(struct reg *reg, const char *fingerprint,
                         struct reg_device *out) MUST_CHECK;
/*
 * Enrol: insert or, for the same key, renew (dates, serial, hash, state
 * enrolled, group when not empty). *renewed says which. ERR_EXISTS: the name
 * is known with another key and replace is false. A name that is known
 * without a key takes the key; that is no renewal. The certificate (unless
 * its hash is "") is recorded in the list of certificates issued; those of a
 * key that was replaced are revoked there as superseded. An empty group
 * leaves the group as it is.
 */
int reg_enrol(struct reg *reg, const struct reg_device *device, bool replace,
              bool *renewed) MUST_CHECK;
/*
 * Lock a device out, with a reason of RFC 5280 5.3.1 ("keyCompromise",
 * "cessationOfOperation", ..., or "unspecified"), and record its certificates
 * as revoked at that time for the CRL. A stranger with a certificate of a
 * trusted CA can be locked out by its name, too: it becomes a revoked device.
 * ERR_NOT_FOUND, ERR_MALFORMED (reason).
 */
int reg_revoke(struct reg *reg, struct span name, const char *reason) MUST_CHECK;
int reg_reinstate(struct reg *reg, struct span name) MUST_CHECK;
/*
 * The fingerprint of every key of the devices that were revoked after that
 * generation (reinstated since or not). each() must not write through the
 * handle, and returns 0 to go on.
 */
int reg_revoked_since(struct reg *reg, uint64_t generation,
                      int (*each)(void *owner, const char *fingerprint), void *owner) MUST_CHECK;
/*
 * Enrolled devices whose certificate ends before that time, the first to end
 * first; those that ended before `from` are left out. each() as above.
 */
int reg_expiring_each(struct reg *reg, int64_t from, int64_t before,
                      int (*each)(void *owner, const char *name, int64_t not_after),
                      void *owner) MUST_CHECK;
/* "" none. Also ERR_LIMIT: over REG_NAME_MAX bytes. */
int reg_set_group(struct reg *reg, struct span name, const char *group) MUST_CHECK;
int reg_remove(struct reg *reg, struct span name) MUST_CHECK;
/*
 * In order of name; each() returns 0 to go on, may use the handle, and runs
 * outside of any transaction (so a device that changes meanwhile may be seen
 * in either state).
 */
int reg_each(struct reg *reg, int (*each)(void *owner, const struct reg_device *device),
             void *owner) MUST_CHECK;

/* A certificate that was issued or imported; it outlives its device here. */
struct reg_certificate {
	char hash[65];
	char device[REG_NAME_MAX + 1];
	char serial[65];
	char fingerprint[65];
	int64_t not_before, not_after, issued_at;
	int64_t revoked_at; /* 0: good */
	char revoked_reason[REG_REASON_SIZE];
};

/*
 * The certificates of a device, or (empty name) all; the oldest first. each()
 * returns 0 to go on, and must not write through the handle.
 */
int reg_certificate_each(struct reg *reg, struct span device,
                         int (*each)(void *owner, const struct reg_certificate *certificate),
                         void *owner) MUST_CHECK;

/*
 * Labels: a value "" removes. Label and value have at most REG_NAME_MAX bytes
 * (ERR_LIMIT). reg_label_each in order of name.
 */
int reg_set_label(struct reg *reg, struct span name, const char *label,
                  const char *value) MUST_CHECK;
int reg_label_each(struct reg *reg, struct span name,
                   int (*each)(void *owner, struct span label, struct span value),
                   void *owner) MUST_CHECK;

/*
 * Many sightings in one transaction (the control thread collects them).
 * Names that are not known are left out: those are strangers.
 */
struct reg_sighting {
	char name[REG_NAME_MAX + 1];
	char address[64];
	int64_t at;
	char failure[256]; /* "": the device was admitted */
};
int reg_note_sightings(struct reg *reg, const struct reg_sighting *list, size_t count) MUST_CHECK;

/* ---- strangers ------------------------------------------------------------------------ */

/*
 * Devices that came with a certificate that is good but not known here
 * (issued by a trusted CA, or self-signed), keyed by the fingerprint of their
 * key. The list is bounded per kind, so that self-made certificates cannot
 * push out issued ones; when it is full the stranger not seen for longest
 * goes, but none that was seen within the last hour.
 */
struct reg_stranger {
	char fingerprint[65];
	char name[REG_NAME_MAX + 1]; /* the identity it would have; "" none that is safe */
	char subject[512];           /* cut */
	char issuer[512];            /* cut */
	char address[64];
	bool self_signed;
	int64_t not_after;
	int64_t first_at, last_at;
	uint64_t count;
};
#define REG_STRANGERS_MAX 500 /* of each kind */

/*
 * Note visits, many in one transaction. Of each the fields up to not_after
 * count, last_at (the time of the visit) and count (how many visits it stands
 * for, 0 is 1). Does not bump the generation.
 */
int reg_note_strangers(struct reg *reg, const struct reg_stranger *list, size_t count) MUST_CHECK;
/* Newest visit first. each() returns 0 to go on. */
int reg_stranger_each(struct reg *reg, int (*each)(void *owner, const struct reg_stranger *s),
                      void *owner) MUST_CHECK;
/* How many there are, or ERR_DATABASE. */
int reg_stranger_count(struct reg *reg) MUST_CHECK;
/*
 * Let a stranger in: it becomes an enrolled device of that name (NULL: its
 * own) known by its key, and is no stranger any more. A self-signed one is
 * marked as approved. ERR_NOT_FOUND, ERR_EXISTS (the name belongs to another
 * key, the key to another name, or the device is revoked), ERR_UNSAFE (no
 * name; whether a name given is safe in topics is the caller's to check),
 * ERR_AMBIGUOUS (fingerprint given as a prefix of at least 8 digits that fits
 * several).
 */
int reg_approve(struct reg *reg, const char *fingerprint, const char *name,
                struct reg_device *out) MUST_CHECK;

/* ---- audit ------------------------------------------------------------------------------ */

/*
 * Who works with this handle: every change of devices is then recorded in the
 * same transaction. Texts are copied; a user "" or NULL shows as the number.
 * Without it nothing can be changed but sightings, strangers and
 * subscriptions: ERR_DENIED.
 */
int reg_actor(struct reg *reg, unsigned uid, const char *user) MUST_CHECK;

struct reg_audit {
	int64_t id, at;
	unsigned uid;
	char user[64];
	char action[32]; /* enroll, renew, replace, approve, revoke, reinstate, remove, group, label, ... */
	char device[REG_NAME_MAX + 1];
	char detail[512];
};
/*
 * Newest first; device NULL: all; since 0: from the beginning. each() returns
 * 0 to go on, and may use the handle.
 */
int reg_audit_each(struct reg *reg, const char *device, int64_t since,
                   int (*each)(void *owner, const struct reg_audit *entry),
                   void *owner) MUST_CHECK;
/*
 * Record what is not a change of the register (disconnect, reload, CA
 * import). device NULL: none.
 */
int reg_audit_note(struct reg *reg, const char *action, const char *device,
                   const char *detail) MUST_CHECK;

/* ---- one transaction around several changes (fleet files) --------------------------------- */

/*
 * Nobody else can write until its end. A change that fails inside leaves no
 * trace, and the transaction goes on. ERR_PROTOCOL when one is open already.
 */
int reg_begin(struct reg *reg) MUST_CHECK;
/* When it fails, nothing has changed. */
int reg_commit(struct reg *reg) MUST_CHECK;
void reg_rollback(struct reg *reg); /* nothing when none is open */

/* ---- subscriptions of persistent sessions --------------------------------------------- */

/*
 * As reg_begin(), for many subscriptions: it does not wait for the disk.
 * reg_commit() or reg_rollback() ends it.
 */
int reg_subscription_begin(struct reg *reg) MUST_CHECK;

struct reg_subscription {
	struct span filter; /* the device's filter */
	uint8_t options;    /* as in SUBSCRIBE */
	uint32_t id;        /* subscription identifier, 0 none */
};

/*
 * owner: the identity of the device. It has subscriptions of at most
 * REG_CLIENT_IDS_MAX client identifiers; one more pushes out those of the one
 * that was not used for longest (to some minutes). A client identifier that
 * another device uses is that device's from then on.
 */
#define REG_CLIENT_IDS_MAX 16
int reg_subscription_put(struct reg *reg, struct span owner, struct span client_id,
                         const struct reg_subscription *s) MUST_CHECK;
/* The client identifier was used. When it cannot be written, the next use will do. */
void reg_subscription_touch(struct reg *reg, struct span owner, struct span client_id);
int reg_subscription_remove(struct reg *reg, struct span client_id, struct span filter) MUST_CHECK;
int reg_subscription_clear(struct reg *reg, struct span client_id) MUST_CHECK;
int reg_subscription_each(struct reg *reg, struct span client_id,
                          int (*each)(void *owner, const struct reg_subscription *s),
                          void *owner) MUST_CHECK;

#endif
