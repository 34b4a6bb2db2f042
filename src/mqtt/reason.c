/* SPDX-License-Identifier: BSD-2-Clause */
/* Reason codes (2.4): their words, and their counterparts in 3.1.1. */
#include "mqtt/mqtt_int.h"

/* Every text is made here, so that none needs a buffer or a thread. */
#define UNKNOWN(high, low) "reason 0x" high low " unknown"
#define UNKNOWN_ROW(high)                                                          \
	UNKNOWN(high, "0"), UNKNOWN(high, "1"), UNKNOWN(high, "2"),                \
	UNKNOWN(high, "3"), UNKNOWN(high, "4"), UNKNOWN(high, "5"),                \
	UNKNOWN(high, "6"), UNKNOWN(high, "7"), UNKNOWN(high, "8"),                \
	UNKNOWN(high, "9"), UNKNOWN(high, "a"), UNKNOWN(high, "b"),                \
	UNKNOWN(high, "c"), UNKNOWN(high, "d"), UNKNOWN(high, "e"),                \
	UNKNOWN(high, "f")

static const char unknown[256][sizeof UNKNOWN("0", "0")] = {
	UNKNOWN_ROW("0"), UNKNOWN_ROW("1"), UNKNOWN_ROW("2"), UNKNOWN_ROW("3"),
	UNKNOWN_ROW("4"), UNKNOWN_ROW("5"), UNKNOWN_ROW("6"), UNKNOWN_ROW("7"),
	UNKNOWN_ROW("8"), UNKNOWN_ROW("9"), UNKNOWN_ROW("a"), UNKNOWN_ROW("b"),
	UNKNOWN_ROW("c"), UNKNOWN_ROW("d"), UNKNOWN_ROW("e"), UNKNOWN_ROW("f"),
};

const char *
mqtt_reason_text(uint8_t code)
{
	switch (code) {
#define X(name, number, text) \
	case number:          \
		return text;
		MQTT_REASON_LIST(X)
#undef X
	default:
		return unknown[code];
	}
}

/*
 * A device must tell "try again later" from "not like this": what may pass by
 * itself becomes 3, what the device must change becomes 5 when there is no
 * better word.
 */
uint8_t
mqtt_return_of(uint8_t reason)
{
	switch (reason) {
	case MQTT_SUCCESS:
		return MQTT_RETURN_ACCEPTED;
	case MQTT_UNSUPPORTED_PROTOCOL_VERSION:
		return MQTT_RETURN_VERSION;
	case MQTT_CLIENT_IDENTIFIER_NOT_VALID:
		return MQTT_RETURN_IDENTIFIER;
	case MQTT_BAD_USER_NAME_OR_PASSWORD:
	case MQTT_BAD_AUTHENTICATION_METHOD:
		return MQTT_RETURN_CREDENTIALS;
	case MQTT_UNSPECIFIED_ERROR:
	case MQTT_IMPLEMENTATION_SPECIFIC:
	case MQTT_SERVER_UNAVAILABLE:
	case MQTT_SERVER_BUSY:
	case MQTT_SERVER_SHUTTING_DOWN:
	case MQTT_MESSAGE_RATE_TOO_HIGH:
	case MQTT_QUOTA_EXCEEDED:
	case MQTT_USE_ANOTHER_SERVER:
	case MQTT_SERVER_MOVED:
	case MQTT_CONNECTION_RATE_EXCEEDED:
		return MQTT_RETURN_UNAVAILABLE;
	default:
		return MQTT_RETURN_NOT_AUTHORIZED;
	}
}
