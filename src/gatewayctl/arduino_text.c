/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files say. Each is read by a compiler for the board (C++11) and by
 * a person who has never seen a trust anchor.
 */
#include "arduino_int.h"

#include <string.h>

#define PORT 8883
#define PER_LINE 12

static unsigned
port_of(const struct arduino_input *in)
{
	return in->port != 0 ? in->port : PORT;
}

/* ---- arduino_secrets.h ------------------------------------------------------------------- */

void
arduino_put_secrets(FILE *out, const struct arduino_input *in, const char *broker,
		    const struct arduino_kept *kept)
{
	const char *pem = in->issued->pem;
	size_t len = strlen(pem);

	fprintf(out, "// %s for the device \"%s\".\n", ARDUINO_MARK, in->device);
	fputs("// Enter the name and the password of your network; the rest is complete.\n"
	      "#ifndef ARDUINO_SECRETS_H\n"
	      "#define ARDUINO_SECRETS_H\n\n",
	      out);
	fprintf(out, "%s\n",
		kept->ssid[0] != '\0' ? kept->ssid
				      : "#define SECRET_SSID   \"name of your network\"");
	fprintf(out, "%s\n",
		kept->pass[0] != '\0' ? kept->pass
				      : "#define SECRET_PASS   \"password of your network\"");
	fprintf(out, "#define SECRET_BROKER \"%s\" // a name in the gateway's certificate\n",
		broker);
	fprintf(out, "#define SECRET_PORT   %u\n", port_of(in));
	fprintf(out, "#define SECRET_SLOT   %u // of the key in the crypto chip\n\n", in->slot);
	fputs("// For setEccSlot(SECRET_SLOT, SECRET_CERTIFICATE). Keep every line as it is, also\n"
	      "// the line break after the last one: without it the board cannot sign.\n"
	      "const char SECRET_CERTIFICATE[] = R\"(\n",
	      out);
	fputs(pem, out);
	/* Error 26 on the board when it is missing. */
	fputs(len > 0 && pem[len - 1] == '\n' ? ")\";\n" : "\n)\";\n", out);
	fputs("\n#endif\n", out);
}

/* ---- trust anchors ------------------------------------------------------------------------- */

static void
put_bytes(FILE *out, const char *name, const uint8_t *bytes, size_t len)
{
	fprintf(out, "static const unsigned char %s[] = {", name);
	for (size_t i = 0; i < len; i++) {
		fprintf(out, "%s0x%02x%s", i % PER_LINE == 0 ? "\n\t" : " ", bytes[i],
			i + 1 < len ? "," : "");
	}
	fputs("\n};\n", out);
}

static const char *
curve_name(unsigned curve)
{
	return curve == 23 ? "secp256r1" : curve == 24 ? "secp384r1" : "secp521r1";
}

/* The array `name`, and NAME_NUM. */
static void
put_anchor(FILE *out, const char *name, const struct pki_anchor *a)
{
	put_bytes(out, "GW_CA_DN", a->subject, a->subject_len);
	if (a->curve != 0) {
		put_bytes(out, "GW_CA_Q", a->point, a->point_len);
	} else {
		put_bytes(out, "GW_CA_N", a->modulus, a->modulus_len);
		put_bytes(out, "GW_CA_E", a->exponent, a->exponent_len);
	}
	fprintf(out,
		"static const br_x509_trust_anchor %s[1] = {\n"
		"\t{ { (unsigned char *)GW_CA_DN, sizeof GW_CA_DN }, BR_X509_TA_CA,\n",
		name);
	if (a->curve != 0) {
		fprintf(out,
			"\t  { BR_KEYTYPE_EC, { .ec = { BR_EC_%s, (unsigned char *)GW_CA_Q, "
			"sizeof GW_CA_Q } } } }\n",
			curve_name(a->curve));
	} else {
		fputs("\t  { BR_KEYTYPE_RSA, { .rsa = { (unsigned char *)GW_CA_N, sizeof GW_CA_N,\n"
		      "\t                            (unsigned char *)GW_CA_E, sizeof GW_CA_E } } "
		      "} "
		      "}\n",
		      out);
	}
	fprintf(out, "};\n#define %s_NUM 1\n", name);
}

void
arduino_put_anchors(FILE *out, const struct pki_anchor *anchor)
{
	fprintf(out, "// %s: the CA that your gateway's certificate comes from.\n", ARDUINO_MARK);
	fputs("// Include it after ArduinoBearSSL.h, then:\n"
	      "//   BearSSLClient sslClient(wifiClient, GW_TAs, GW_TAs_NUM);\n"
	      "#ifndef GATEWAY_TRUST_ANCHORS_H\n"
	      "#define GATEWAY_TRUST_ANCHORS_H\n\n",
	      out);
	put_anchor(out, "GW_TAs", anchor);
	fputs("\n#endif\n", out);
}

void
arduino_put_library(FILE *out, const struct pki_anchor *anchor)
{
	fprintf(out,
		"// %s: put it in the place of the file of this name in the\n"
		"// folder of the library ArduinoBearSSL (src), and no sketch needs a change.\n"
		"// An update of the library undoes that.\n",
		ARDUINO_MARK);
	fputs("#ifndef _BEAR_SSL_TRUST_ANCHORS_H_\n"
	      "#define _BEAR_SSL_TRUST_ANCHORS_H_\n\n"
	      "#if defined(__has_include)\n"
	      "#if __has_include(\"bearssl/bearssl_ssl.h\")\n"
	      "#include \"bearssl/bearssl_ssl.h\"\n"
	      "#endif\n"
	      "#endif\n\n",
	      out);
	put_anchor(out, "TAs", anchor);
	fputs("\n#endif\n", out);
}

/* ---- connection_report.h --------------------------------------------------------------------- */

struct words {
	int number;
	const char *text;
};

/* PubSubClient::state() */
static const struct words pubsub[] = {
	{ -4, "no answer to CONNECT within 15 s: is this the gateway's TLS port?" },
	{ -3, "the connection was lost" },
	{ -2, "no connection: see the TLS error; when that is 0, address or port are wrong" },
	{ -1, "not connected; after a try: CONNECT did not fit, call setBufferSize(512)" },
	{ 0, "connected" },
	{ 1, "the broker does not know this MQTT version" },
	{ 2, "the broker refused the client identifier" },
	{ 3, "the broker behind the gateway is not available now" },
	{ 4, "the broker refused user name or password" },
	{ 5, "this device is not allowed to connect: ask gatewayctl devices" },
};

/* ArduinoMqttClient's connectError() */
static const struct words arduino_mqtt[] = {
	{ -2, "no connection: see the TLS error; when that is 0, address or port are wrong" },
	{ -1, "no answer to CONNECT within 30 s, or the connection was closed" },
	{ 0, "connected" },
	{ 1, "the broker does not know this MQTT version" },
	{ 2, "the broker refused the client identifier" },
	{ 3, "CONNECT could not be sent, or the broker is not available now" },
	{ 4, "the broker refused user name or password" },
	{ 5, "this device is not allowed to connect: ask gatewayctl devices" },
};

/* BearSSLClient::errorCode(): below 256 the board's own view, above it the gateway's. */
static const struct words tls[] = {
	{ 0, "no TLS error (or no TLS was tried)" },
	{ 1, "wrong parameter: server name over 255 characters, or buffers too small" },
	{ 3, "the answer was not TLS 1.0 to 1.2: wrong port?" },
	{ 6, "a record was too large for the buffer" },
	{ 7, "a record was damaged on the way" },
	{ 8, "no randomness: the crypto chip does not answer" },
	{ 26, "cannot sign: chip not locked, slot empty, or the certificate's last line break is "
	      "missing" },
	{ 27, "bad signature from the gateway; a retry helps when it is rare" },
	{ 28, "the gateway's certificate is not for this use" },
	{ 31, "the connection broke: not a TLS port, or the network" },
	{ 52, "a certificate's signature is wrong, or the chip cannot verify its kind" },
	{ 53, "the time was never set: call ArduinoBearSSL.onGetTime()" },
	{ 54, "the gateway's certificate is not valid at the board's time: is the clock still 0?" },
	{ 56, "the name used to connect is not in the gateway's certificate" },
	{ 57, "the gateway's certificate has a critical part that BearSSL does not know" },
	{ 58, "an issuer in the chain is not a CA" },
	{ 62, "the board does not know the gateway's CA: use gateway_trust_anchors.h" },
	{ 296, "the gateway got no certificate from the board: setEccSlot(), BEGIN and END lines" },
	{ 298, "the gateway refused the certificate: not valid yet, or too weak" },
	{ 299, "the certificate is for another use: was another one pasted?" },
	{ 300, "this device is blocked or revoked: gatewayctl reinstate" },
	{ 301, "the device's certificate has expired: gatewayctl renew" },
	{ 302, "the device is not in the gateway's register: gatewayctl devices --pending" },
	{ 304, "the certificate is not from the gateway's CA: gatewayctl enroll" },
	{ 305, "the gateway denied access" },
	{ 306, "what was sent is not a certificate: was the request pasted?" },
	{ 307, "certificate and chip do not match: wrong slot, or a new key was made" },
	{ 326, "the gateway does not allow TLS 1.2" },
	{ 336, "the gateway has an internal error: see its log" },
};

static void
put_words(FILE *out, const char *function, const struct words *words, size_t count,
	  const char *other)
{
	fprintf(out, "static inline const char *%s(int code)\n{\n\tswitch (code) {\n", function);
	for (size_t i = 0; i < count; i++) {
		fprintf(out, "\tcase %d:\n\t\treturn \"%s\";\n", words[i].number, words[i].text);
	}
	fprintf(out, "\tdefault:\n\t\treturn \"%s\";\n\t}\n}\n", other);
}

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

void
arduino_put_report(FILE *out)
{
	fprintf(out, "// %s: why there is no connection, in words. In the sketch:\n", ARDUINO_MARK);
	fputs("//   #include \"connection_report.h\"\n"
	      "//   Serial.println(mqttWords(mqttClient.state()));\n"
	      "//   Serial.println(tlsWords(sslClient.errorCode()));\n"
	      "// With ArduinoMqttClient the second line is:\n"
	      "//   Serial.println(mqttClientWords(mqttClient.connectError()));\n"
	      "#ifndef CONNECTION_REPORT_H\n"
	      "#define CONNECTION_REPORT_H\n\n",
	      out);
	put_words(out, "mqttWords", pubsub, COUNT(pubsub), "an unknown MQTT state");
	fputc('\n', out);
	put_words(out, "mqttClientWords", arduino_mqtt, COUNT(arduino_mqtt),
		  "an unknown MQTT error");
	fputc('\n', out);
	put_words(out, "tlsWords", tls, COUNT(tls),
		  "another TLS error: 33 to 51 damaged certificate, 256 + n alert n");
	fputs("\n#endif\n", out);
}

/* ---- README.txt -------------------------------------------------------------------------------
 */

void
arduino_put_readme(FILE *out, const struct arduino_input *in, const char *broker)
{
	fprintf(out, "%s for the device \"%s\".\n\n", ARDUINO_MARK, in->device);
	fputs("1. Copy arduino_secrets.h, gateway_trust_anchors.h and connection_report.h into\n"
	      "   the folder of your sketch, and enter your network in arduino_secrets.h.\n\n"
	      "2. In the sketch, below #include <ArduinoBearSSL.h>:\n\n"
	      "     #include \"arduino_secrets.h\"\n"
	      "     #include \"gateway_trust_anchors.h\"\n"
	      "     #include \"connection_report.h\"\n\n"
	      "     WiFiClient wifiClient;\n"
	      "     BearSSLClient sslClient(wifiClient, GW_TAs, GW_TAs_NUM);\n"
	      "     PubSubClient mqttClient(sslClient);\n\n"
	      "   in setup(), before the first connect:\n\n"
	      "     ArduinoBearSSL.onGetTime(getTime);\n"
	      "     sslClient.setEccSlot(SECRET_SLOT, SECRET_CERTIFICATE);\n"
	      "     mqttClient.setServer(SECRET_BROKER, SECRET_PORT);\n\n"
	      "   and where a connect has failed:\n\n"
	      "     Serial.println(mqttWords(mqttClient.state()));\n"
	      "     Serial.println(tlsWords(sslClient.errorCode()));\n\n"
	      "   This needs ArduinoBearSSL 1.4.0 or later. A sketch that you do not want to\n"
	      "   change works too: put BearSSLTrustAnchors.h in the place of the file of that\n"
	      "   name in the library's folder (until the library is updated).\n\n",
	      out);
	fprintf(out,
		"3. The board connects to %s, port %u. It must find that name, and\n"
		"   the sketch must use it exactly: it is what the board compares.\n\n",
		broker, port_of(in));
	fputs("4. Watch it: gatewayctl devices, and when it does not come: gatewayctl failures.\n\n"
	      "Do not run the CSR sketch again with \"new key: yes\": the certificate belongs to\n"
	      "the key that is in the chip now. No file here is secret, except that\n"
	      "arduino_secrets.h will hold the password of your network. device.der is the same\n"
	      "certificate for setEccSlot(slot, bytes, length).\n",
	      out);
}
