/* SPDX-License-Identifier: BSD-2-Clause */
/* The client's alerts about our certificate, and our checks of its own. */
#include "diagnose/diagnose_int.h"

/* ---- alerts of the client ---------------------------------------------------------- */

static bool
alert_in(const struct diagnose_evidence *e, uint8_t number)
{
	return e->alert_in.seen && e->alert_in.number == number;
}

static bool
unknown_ca(const struct diagnose_evidence *e)
{
	return alert_in(e, 48);
}

static bool
bad_certificate(const struct diagnose_evidence *e)
{
	return alert_in(e, 42);
}

static bool
expired_there(const struct diagnose_evidence *e)
{
	return alert_in(e, 45);
}

static bool
unspecified(const struct diagnose_evidence *e)
{
	return alert_in(e, 46);
}

static bool
internal_error(const struct diagnose_evidence *e)
{
	return alert_in(e, 80);
}

static bool
decrypt_error(const struct diagnose_evidence *e)
{
	return alert_in(e, 51);
}

/* close_notify and user_canceled are no refusals. */
static bool
other_alert(const struct diagnose_evidence *e)
{
	return e->alert_in.seen && e->alert_in.number != 0 && e->alert_in.number != 90 &&
	       e->alert_in.number != 100;
}

/* ---- the device's certificate ------------------------------------------------------ */

static bool
no_certificate(const struct diagnose_evidence *e)
{
	return has_reason(e, N_SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE);
}

static bool
not_a_certificate(const struct diagnose_evidence *e)
{
	return has_reason(e, N_ERR_R_ASN1_LIB);
}

static bool
wrong_curve(const struct diagnose_evidence *e)
{
	return has_reason(e, N_SSL_R_WRONG_CURVE);
}

/* Of an authority, not of the device. */
static bool
issuer_revoked(const struct diagnose_evidence *e)
{
	return e->admit != ADMIT_REVOKED && e->verify_error == N_X509_V_ERR_CERT_REVOKED &&
	       e->verify_depth > 0;
}

/* The check in the register comes after X.509, so what it says is later and weighs more. */
static bool
revoked(const struct diagnose_evidence *e)
{
	return e->admit == ADMIT_REVOKED || e->verify_error == N_X509_V_ERR_CERT_REVOKED;
}

static bool
not_registered(const struct diagnose_evidence *e)
{
	return e->admit == ADMIT_UNKNOWN;
}

static bool
enrolment_ended(const struct diagnose_evidence *e)
{
	return e->admit == ADMIT_EXPIRED;
}

static bool
no_identity(const struct diagnose_evidence *e)
{
	return e->admit == ADMIT_BAD;
}

static bool
register_broken(const struct diagnose_evidence *e)
{
	return e->admit == ADMIT_ERROR;
}

static bool
same(const char *a, const char *b)
{
	return a[0] != '\0' && strcmp(a, b) == 0;
}

/* OpenSSL knows three ways to say that no trusted issuer was found. */
static bool
no_issuer(const struct diagnose_evidence *e)
{
	return e->verify_error == N_X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
	       e->verify_error == N_X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT ||
	       e->verify_error == N_X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE;
}

static bool
intermediate_missing(const struct diagnose_evidence *e)
{
	return no_issuer(e) && e->certificate.by_intermediate;
}

static bool
old_ca(const struct diagnose_evidence *e)
{
	return no_issuer(e) && same(e->certificate.issuer, e->presented.ca_subject);
}

static bool
self_signed(const struct diagnose_evidence *e)
{
	return e->verify_error == N_X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT;
}

static bool
foreign_chain(const struct diagnose_evidence *e)
{
	return e->verify_error == N_X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN;
}

static bool
expired(const struct diagnose_evidence *e)
{
	return e->verify_error == N_X509_V_ERR_CERT_HAS_EXPIRED && e->verify_depth == 0;
}

static bool
ca_expired(const struct diagnose_evidence *e)
{
	return e->verify_error == N_X509_V_ERR_CERT_HAS_EXPIRED && e->verify_depth > 0;
}

static bool
not_yet_valid(const struct diagnose_evidence *e)
{
	return e->verify_error == N_X509_V_ERR_CERT_NOT_YET_VALID;
}

static bool
wrong_purpose(const struct diagnose_evidence *e)
{
	return e->verify_error == N_X509_V_ERR_INVALID_PURPOSE;
}

static bool
ca_pasted(const struct diagnose_evidence *e)
{
	return wrong_purpose(e) && same(e->certificate.subject, e->presented.ca_subject);
}

static bool
gateway_pasted(const struct diagnose_evidence *e)
{
	return wrong_purpose(e) && same(e->certificate.subject, e->presented.subject);
}

static bool
too_weak(const struct diagnose_evidence *e)
{
	return e->verify_error == N_X509_V_ERR_CA_MD_TOO_WEAK ||
	       e->verify_error == N_X509_V_ERR_EE_KEY_TOO_SMALL ||
	       e->verify_error == N_X509_V_ERR_CA_KEY_TOO_SMALL;
}

static bool
damaged(const struct diagnose_evidence *e)
{
	return e->verify_error == N_X509_V_ERR_CERT_SIGNATURE_FAILURE;
}

static bool
crl_missing(const struct diagnose_evidence *e)
{
	return e->verify_error == N_X509_V_ERR_UNABLE_TO_GET_CRL;
}

static bool
crl_stale(const struct diagnose_evidence *e)
{
	return e->verify_error == N_X509_V_ERR_CRL_HAS_EXPIRED;
}

static bool
verify_other(const struct diagnose_evidence *e)
{
	return e->verify_error != 0;
}

static bool
wrong_key(const struct diagnose_evidence *e)
{
	return has_reason(e, N_SSL_R_BAD_SIGNATURE) && e->verify_error == 0;
}

#define CHECKED (BY_VERIFY | BY_CERTIFICATE)

static const struct rule list[] = {
	{ CAUSE_CLIENT_UNKNOWN_CA, unknown_ca, BY_ALERT_IN | BY_PRESENTED },
	{ CAUSE_CLIENT_BAD_CERTIFICATE, bad_certificate, BY_ALERT_IN | BY_HELLO | BY_PRESENTED },
	{ CAUSE_CLIENT_EXPIRED, expired_there, BY_ALERT_IN | BY_PRESENTED },
	{ CAUSE_CLIENT_UNSPECIFIED, unspecified, BY_ALERT_IN },
	{ CAUSE_CLIENT_NAME, internal_error, BY_ALERT_IN | BY_HELLO | BY_PRESENTED },
	{ CAUSE_CLIENT_DECRYPT, decrypt_error, BY_ALERT_IN },
	{ CAUSE_CLIENT_ALERT, other_alert, BY_ALERT_IN },
	{ CAUSE_NO_CERTIFICATE, no_certificate, BY_REASON },
	{ CAUSE_NOT_A_CERTIFICATE, not_a_certificate, BY_REASON },
	{ CAUSE_WRONG_CURVE, wrong_curve, BY_REASON | BY_CERTIFICATE },
	{ CAUSE_ISSUER_REVOKED, issuer_revoked, CHECKED },
	{ CAUSE_REVOKED, revoked, BY_ADMISSION | BY_VERIFY },
	{ CAUSE_NOT_REGISTERED, not_registered, BY_ADMISSION },
	{ CAUSE_ENROLMENT_ENDED, enrolment_ended, BY_ADMISSION },
	{ CAUSE_NO_IDENTITY, no_identity, BY_ADMISSION },
	{ CAUSE_REGISTER_BROKEN, register_broken, BY_ADMISSION },
	{ CAUSE_INTERMEDIATE_MISSING, intermediate_missing, CHECKED },
	{ CAUSE_OLD_CA, old_ca, CHECKED | BY_PRESENTED },
	{ CAUSE_FOREIGN_CA, no_issuer, CHECKED },
	{ CAUSE_SELF_SIGNED, self_signed, CHECKED },
	{ CAUSE_FOREIGN_CHAIN, foreign_chain, CHECKED },
	{ CAUSE_EXPIRED, expired, CHECKED },
	{ CAUSE_CA_EXPIRED, ca_expired, CHECKED },
	{ CAUSE_NOT_YET_VALID, not_yet_valid, CHECKED },
	{ CAUSE_CA_PASTED, ca_pasted, CHECKED | BY_PRESENTED },
	{ CAUSE_GATEWAY_PASTED, gateway_pasted, CHECKED | BY_PRESENTED },
	{ CAUSE_WRONG_PURPOSE, wrong_purpose, CHECKED },
	{ CAUSE_TOO_WEAK, too_weak, CHECKED },
	{ CAUSE_DAMAGED, damaged, CHECKED },
	{ CAUSE_CRL_MISSING, crl_missing, CHECKED },
	{ CAUSE_CRL_STALE, crl_stale, CHECKED },
	{ CAUSE_VERIFY_OTHER, verify_other, CHECKED },
	{ CAUSE_WRONG_KEY, wrong_key, BY_REASON | BY_CERTIFICATE },
};

const struct rules rules_certificate = { list, sizeof list / sizeof list[0] };
