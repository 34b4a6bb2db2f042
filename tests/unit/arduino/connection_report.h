// Made by gatewayctl: why there is no connection, in words. In the sketch:
//   #include "connection_report.h"
//   Serial.println(mqttWords(mqttClient.state()));
//   Serial.println(tlsWords(sslClient.errorCode()));
// With ArduinoMqttClient the second line is:
//   Serial.println(mqttClientWords(mqttClient.connectError()));
#ifndef CONNECTION_REPORT_H
#define CONNECTION_REPORT_H

static inline const char *mqttWords(int code)
{
	switch (code) {
	case -4:
		return "no answer to CONNECT within 15 s: is this the gateway's TLS port?";
	case -3:
		return "the connection was lost";
	case -2:
		return "no connection: see the TLS error; when that is 0, address or port are wrong";
	case -1:
		return "not connected; after a try: CONNECT did not fit, call setBufferSize(512)";
	case 0:
		return "connected";
	case 1:
		return "the broker does not know this MQTT version";
	case 2:
		return "the broker refused the client identifier";
	case 3:
		return "the broker behind the gateway is not available now";
	case 4:
		return "the broker refused user name or password";
	case 5:
		return "this device is not allowed to connect: ask gatewayctl devices";
	default:
		return "an unknown MQTT state";
	}
}

static inline const char *mqttClientWords(int code)
{
	switch (code) {
	case -2:
		return "no connection: see the TLS error; when that is 0, address or port are wrong";
	case -1:
		return "no answer to CONNECT within 30 s, or the connection was closed";
	case 0:
		return "connected";
	case 1:
		return "the broker does not know this MQTT version";
	case 2:
		return "the broker refused the client identifier";
	case 3:
		return "CONNECT could not be sent, or the broker is not available now";
	case 4:
		return "the broker refused user name or password";
	case 5:
		return "this device is not allowed to connect: ask gatewayctl devices";
	default:
		return "an unknown MQTT error";
	}
}

static inline const char *tlsWords(int code)
{
	switch (code) {
	case 0:
		return "no TLS error (or no TLS was tried)";
	case 1:
		return "wrong parameter: server name over 255 characters, or buffers too small";
	case 3:
		return "the answer was not TLS 1.0 to 1.2: wrong port?";
	case 6:
		return "a record was too large for the buffer";
	case 7:
		return "a record was damaged on the way";
	case 8:
		return "no randomness: the crypto chip does not answer";
	case 26:
		return "cannot sign: chip not locked, slot empty, or the certificate's last line break is missing";
	case 27:
		return "bad signature from the gateway; a retry helps when it is rare";
	case 28:
		return "the gateway's certificate is not for this use";
	case 31:
		return "the connection broke: not a TLS port, or the network";
	case 52:
		return "a certificate's signature is wrong, or the chip cannot verify its kind";
	case 53:
		return "the time was never set: call ArduinoBearSSL.onGetTime()";
	case 54:
		return "the gateway's certificate is not valid at the board's time: is the clock still 0?";
	case 56:
		return "the name used to connect is not in the gateway's certificate";
	case 57:
		return "the gateway's certificate has a critical part that BearSSL does not know";
	case 58:
		return "an issuer in the chain is not a CA";
	case 62:
		return "the board does not know the gateway's CA: use gateway_trust_anchors.h";
	case 296:
		return "the gateway got no certificate from the board: setEccSlot(), BEGIN and END lines";
	case 298:
		return "the gateway refused the certificate: not valid yet, or too weak";
	case 299:
		return "the certificate is for another use: was another one pasted?";
	case 300:
		return "this device is blocked or revoked: gatewayctl reinstate";
	case 301:
		return "the device's certificate has expired: gatewayctl renew";
	case 302:
		return "the device is not in the gateway's register: gatewayctl devices --pending";
	case 304:
		return "the certificate is not from the gateway's CA: gatewayctl enroll";
	case 305:
		return "the gateway denied access";
	case 306:
		return "what was sent is not a certificate: was the request pasted?";
	case 307:
		return "certificate and chip do not match: wrong slot, or a new key was made";
	case 326:
		return "the gateway does not allow TLS 1.2";
	case 336:
		return "the gateway has an internal error: see its log";
	default:
		return "another TLS error: 33 to 51 damaged certificate, 256 + n alert n";
	}
}

#endif
