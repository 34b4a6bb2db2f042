/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One error style for the whole project: a function that can fail returns
 * int, 0 (or a count) on success and a negative code on failure. System
 * errors are the negated errno, so libuv's codes pass through unchanged; our
 * own codes sit below -10000. Outputs are written only on success unless the
 * function says otherwise.
 */
#ifndef GATEWAY_BASE_ERR_H
#define GATEWAY_BASE_ERR_H

#define ERR_LIST(X)                                                        \
	X(MORE, -10001, "more bytes are needed")                           \
	X(MALFORMED, -10002, "malformed packet")                           \
	X(PROTOCOL, -10003, "protocol error")                              \
	X(LIMIT, -10004, "a limit is exceeded")                            \
	X(DENIED, -10005, "denied")                                        \
	X(FULL, -10006, "no room in the output")                           \
	X(CONF, -10007, "the configuration is not valid")                  \
	X(NOT_FOUND, -10008, "not found")                                  \
	X(EXISTS, -10009, "exists already")                                \
	X(CRYPTO, -10010, "a cryptographic operation failed")              \
	X(DATABASE, -10011, "a database operation failed")                 \
	X(CLOSED, -10012, "the peer closed the connection")                \
	X(VERSION, -10013, "version not supported")                        \
	X(AMBIGUOUS, -10014, "ambiguous")                                  \
	X(UNSAFE, -10015, "a value is not safe to use in a topic")         \
	X(TIMEOUT, -10016, "a deadline passed")                            \
	X(UNAVAILABLE, -10017, "not available now")

enum err {
	ERR_OK = 0,
#define X(name, code, text) ERR_##name = (code),
	ERR_LIST(X)
#undef X
};

/* The text of a code; never NULL, static storage, any thread. */
const char *err_text(int code);

#define MUST_CHECK __attribute__((warn_unused_result))

#endif
