/* SPDX-License-Identifier: BSD-2-Clause */
/* Well-formed packets of every type and version, as mqtt_bytes() reads them. */
#ifndef TESTS_UNIT_MQTT_SAMPLES_H
#define TESTS_UNIT_MQTT_SAMPLES_H

#include "mqtt/mqtt.h"

struct mqtt_sample {
	const char *text;
	uint8_t sender;
	uint8_t version;
};

#define C MQTT_FROM_CLIENT
#define S MQTT_FROM_SERVER

static const struct mqtt_sample mqtt_samples[] = {
	/* 3.1 */
	{ "10{<'MQIsdp'>03 02 003c <'c'>}", C, 3 },
	{ "10{<'MQIsdp'>03 c0 003c <'a client identifier of over 23 bytes'><'u'><'p'>}", C, 3 },
	{ "20{00 05}", S, 3 },
	{ "31{<'t'>'payload'}", C, 3 },
	{ "82{0001 <'a/+'>01 <'#'>00}", C, 3 },
	{ "8a{0001 <'a'>01}", C, 3 }, /* sent again: DUP */
	{ "6a{0001}", C, 3 },
	{ "90{0001 0100}", S, 3 },
	{ "e0{}", C, 3 },
	/* 3.1.1 */
	{ "10{<'MQTT'>04 02 0000 <>}", C, 4 },
	{ "10{<'MQTT'>04 f6 003c <'c'><'w/t'><00ff><'user'><0001>}", C, 4 },
	{ "20{01 00}", S, 4 },
	{ "20{00 03}", S, 4 },
	{ "30{<'t'>}", S, 4 },
	{ "3b{<'a/b'>0102 'payload'}", C, 4 },
	{ "3d{<'a/b'>ffff}", S, 4 },
	{ "30{<'a'7f0a>}", S, 4 }, /* unwise, but the broker may */
	{ "40{0001}", C, 4 },
	{ "50{0001}", S, 4 },
	{ "62{0001}", C, 4 },
	{ "70{0001}", S, 4 },
	{ "82{0001 <'a'>02 <'$share/g/+/b'>01}", C, 4 },
	{ "90{0001 00010280}", S, 4 },
	{ "a2{0001 <'a'><'+/b/#'>}", C, 4 },
	{ "b0{0001}", S, 4 },
	{ "c0{}", C, 4 },
	{ "d0{}", S, 4 },
	{ "e0{}", C, 4 },
	/* 5.0 */
	{ "10{<'MQTT'>05 02 0000 {}<>}", C, 5 },
	{ "10{<'MQTT'>05 40 0000 {}<'c'><'password alone'>}", C, 5 },
	{ "10{<'MQTT'>05 ee 003c {11 0000000a 21 0014 27 00001000 22 000a 19 01 17 00"
	  " 26<'k'><'v'> 26<'k'><'v'> 15<'m'> 16<00>}"
	  "<'c'>{18 00000005 01 01 02 00000064 03<'json'> 08<'r/t'> 09<0000> 26<><>}"
	  "<'w'><'bye'><'u'><'p'>}", C, 5 },
	{ "20{01 00{}}", S, 5 },
	{ "20{00 87{1f<'no'>1c<'other'>26<'a'><'b'>}}", S, 5 },
	{ "20{00 00{11 ffffffff 21 0001 24 01 25 00 27 ffffffff 12<'assigned'> 22 0000"
	  " 28 01 29 00 2a 01 13 000a 1a<'info'> 15<'m'> 16<>}}", S, 5 },
	{ "30{<'t'>{}}", C, 5 },
	{ "30{<'t'01>{03<7f> 26<0a><efbfbf>}}", S, 5 },
	{ "40{0001 95}", S, 5 }, /* mosquitto's message_size_limit */
	{ "35{<>0001{23 0001}'by alias'}", C, 5 },
	{ "32{<'a/b'>0001{01 00 02 00000001 03<> 08<'r'> 09<'id'> 23 ffff 26<'a'><'b'>}'x'}", C, 5 },
	{ "30{<'a/b'>{0b 01 0b ffffff7f 26<c3a4><f09f9880>}'x'}", S, 5 },
	{ "40{0001}", C, 5 },
	{ "40{0001 10}", S, 5 },
	{ "50{0001 87{}}", S, 5 },
	{ "50{0001 00{1f<'why'>26<'a'><'b'>}}", C, 5 },
	{ "62{0001 92{1f<>}}", C, 5 },
	{ "70{0001 92}", S, 5 },
	{ "82{0001{}<'a'>2e<'$share/g/#'>01}", C, 5 },
	{ "82{ffff{0b 8001 26<'a'><'b'>}<'a'>1c}", C, 5 },
	{ "90{0001{}000102 80 83 87 8f 91 97 9e a1 a2}", S, 5 },
	{ "90{0001{1f<'why'>}87}", S, 5 },
	{ "a2{0001{26<'a'><'b'>}<'a'><'$share/g/b'>}", C, 5 },
	{ "b0{0001{}00 11 80 83 87 8f 91}", S, 5 },
	{ "c0{}", C, 5 },
	{ "d0{}", S, 5 },
	{ "e0{}", C, 5 },
	{ "e0{04}", C, 5 },
	{ "e0{00{}}", C, 5 },
	{ "e0{00{11 00000000 1f<'bye'>26<'a'><'b'>}}", C, 5 },
	{ "e0{8e}", S, 5 },
	{ "e0{9c{1c<'other:8883'>1f<'moved'>}}", S, 5 },
	{ "f0{}", S, 5 },
	{ "f0{18{15<'SCRAM'>16<00ff>}}", C, 5 },
	{ "f0{19{15<'SCRAM'>1f<'again'>26<'a'><'b'>}}", C, 5 },
	{ "f0{00{15<'SCRAM'>}}", S, 5 },
};

#undef C
#undef S

#define MQTT_SAMPLES (sizeof mqtt_samples / sizeof mqtt_samples[0])

#endif
