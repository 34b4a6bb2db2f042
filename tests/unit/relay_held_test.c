/* SPDX-License-Identifier: BSD-2-Clause */
/* What a device gets when the broker goes, byte for byte, one sentence each. */
#include "unit/cmocka_all.h"

#include "unit/relay_talk.h"

#define HELD_3 LIVE_3, { LOST }
#define HELD_5 LIVE_5, { LOST }
/* Back: CONNECT as before, and its CONNACK, which the device does not see. */
#define BACK_3 OPEN_3, { BROKER, "20 02 00 00", NULL, NULL }
#define BACK_5 OPEN_5, { BROKER, "20{00 00{}}", NULL, NULL }
/* The same, and a SUBSCRIBE that waited goes up. */
#define WAITED_3 { BROKER, "20 02 00 00", "82{0004<'home/dev/command'>01}", NULL }

/* Who is held, and who is told. */
static const struct scene who[] = {
	{ .name = "a clean session is held, and comes back", .hold = true,
	  .talk = TALK(HELD_3, { DEVICE, "c000", NULL, "d000" }, BACK_3,
	               { DEVICE, "c000", "c000", NULL }) },
	{ .name = "the same in 5.0", .hold = true,
	  .talk = TALK(HELD_5, { DEVICE, "c000", NULL, "d000" }, BACK_5,
	               { DEVICE, "c000", "c000", NULL }) },
	{ .name = "not where the map says no", .talk = TALK(LIVE_5, { LOST, NULL, NULL, "e0 01 8b" }),
	  .ending = ENDS(BROKER, SERVER_SHUTTING_DOWN, "closed the connection") },
	{ .name = "a will is closed", .hold = true,
	  .talk = TALK({ DEVICE, "10{<'MQTT'>04 06 003c<'c1'><'Home'><'x'>}", NULL, NULL },
	               { OPEN, NULL, "10{<'MQTT'>04 86 003c<'dev'><'home/dev/telemetry'><'x'><'dev'>}",
	                 NULL }, CONNACK_3, { LOST }),
	  .ending = ENDS(BROKER, SERVER_SHUTTING_DOWN, "closed the connection") },
	{ .name = "a persistent session is closed", .hold = true,
	  .talk = TALK({ DEVICE, "10{<'MQTT'>05 02 003c{11 0000003c}<'c1'>}", NULL, NULL },
	               { OPEN, NULL, "10{<'MQTT'>05 82 003c{11 0000003c}<'dev'><'dev'>}", NULL },
	               CONNACK_5, { LOST, NULL, NULL, "e0 01 8b" }),
	  .ending = ENDS(BROKER, SERVER_SHUTTING_DOWN, "closed the connection") },
	{ .name = "QoS 2 of the device under way", .hold = true,
	  .talk = TALK(LIVE_3, { DEVICE, "34{<'same'>0001'x'}", "34{<'same'>0001'x'}", NULL },
	               { LOST }),
	  .ending = ENDS(BROKER, SERVER_SHUTTING_DOWN, "closed the connection") },
	{ .name = "QoS 2 of the broker under way", .hold = true,
	  .talk = TALK(LIVE_3, { BROKER, "34{<'home/dev/command'>0001'x'}", NULL,
	                         "34{<'inTopic'>0001'x'}" }, { LOST }),
	  .ending = ENDS(BROKER, SERVER_SHUTTING_DOWN, "closed the connection") },
	{ .name = "QoS 2 that is over", .hold = true,
	  .talk = TALK(LIVE_3, { DEVICE, "34{<'same'>0001'x'}", "34{<'same'>0001'x'}", NULL },
	               { BROKER, "50 02 0001", NULL, "50 02 0001" },
	               { DEVICE, "62 02 0001", "62 02 0001", NULL },
	               { BROKER, "70 02 0001", NULL, "70 02 0001" }, { LOST },
	               { DEVICE, "c000", NULL, "d000" }) },
	{ .name = "a PING that the broker owed", .hold = true,
	  .talk = TALK(LIVE_3, { DEVICE, "c000", "c000", NULL }, { LOST, NULL, NULL, "d000" }) },
	{ .name = "taken over is not lost", .hold = true,
	  .talk = TALK(LIVE_5, { TAKEN, NULL, NULL, "e0{8e{1f<'connected again elsewhere'>}}" }),
	  .ending = ENDS(DEVICE, SESSION_TAKEN_OVER, "connected again elsewhere") },
};

static const struct scene publishes[] = {
	{ .name = "stored, acknowledged after the commit", .hold = true,
	  .spooled = "0 home/dev/telemetry a;1r home/dev/telemetry b;1 home/dev/telemetry c;",
	  .talk = TALK(HELD_3, { DEVICE, "30{<'Home'>'a'} 33{<'Home'>0007'b'} 32{<'Home'>0008'c'}",
	                         NULL, NULL },
	               { STORED }, { STORED, NULL, NULL, "40 02 0007" },
	               { STORED, NULL, NULL, "40 02 0008" }) },
	{ .name = "sent again before it was acknowledged: twice of everything", .hold = true,
	  .spooled = "1 same a;1 same a;1 same b;",
	  .talk = TALK(LIVE_3, { DEVICE, "32{<'same'>0001'a'}", "32{<'same'>0001'a'}", NULL },
	               { LOST }, { DEVICE, "3a{<'same'>0001'a'} 32{<'same'>0002'b'}", NULL, NULL },
	               { STORED, NULL, NULL, "40 02 0001" }, { STORED, NULL, NULL, "40 02 0001" },
	               { STORED, NULL, NULL, "40 02 0002" }) },
	{ .name = "without a packet identifier", .hold = true,
	  .talk = TALK(HELD_5, { DEVICE, "32{<'same'>0000{}'a'}", NULL,
	                         "e0{82{1f<'sent a malformed PUBLISH'>}}" }),
	  .ending = ENDS(DEVICE, PROTOCOL_ERROR, "sent a malformed PUBLISH") },
	{ .name = "denied ones in their turn", .hold = true, .spooled = "1 home/dev/telemetry a;",
	  .talk = TALK(HELD_5, { DEVICE, "32{<'Home'>0001{}'a'} 32{<'no'>0002{}'b'}", NULL, NULL },
	               { STORED, NULL, NULL, "40 02 0001 40 03 0002 87" }) },
	{ .name = "properties are mapped, the expiry is not among them", .hold = true,
	  .spooled = "1 home/dev/telemetry a expires 9 010108000b7265706c792f6465762f78;",
	  .talk = TALK(HELD_5, { DEVICE,
	                         "32{<'Home'>0001{01 01 02 00000009 08<'reply/x'>}'a'}", NULL, NULL },
	               { STORED, NULL, NULL, "40 02 0001" }) },
	{ .name = "QoS 2 is the truth's end", .hold = true,
	  .talk = TALK(HELD_5, { DEVICE, "34{<'Home'>0001{}'a'}", NULL,
	                         "e0{8b{1f<'published with QoS 2 while the broker is away'>}}" }),
	  .ending = ENDS(GATEWAY, SERVER_SHUTTING_DOWN,
	                 "published with QoS 2 while the broker is away") },
	{ .name = "too large to be held whole", .hold = true, .limits = { .packet_memory = 40 },
	  .talk = TALK(HELD_5, { DEVICE, "32{<'Home'>0001{}'0123456789012345678901234567890123456789'}",
	                         NULL, "40 03 0001 97" }) },
	{ .name = "which 3.1.1 cannot be told", .hold = true, .limits = { .packet_memory = 40 },
	  .talk = TALK(HELD_3, { DEVICE, "30{<'Home'>'0123456789012345678901234567890123456789'} c000",
	                         NULL, "d000" },
	               { DEVICE, "32{<'Home'>0001'0123456789012345678901234567890123456789'}",
	                 NULL, NULL }),
	  .ending = ENDS(DEVICE, PACKET_TOO_LARGE, "published more than can be stored at once") },
	{ .name = "kept ones are stored at the loss, in order", .hold = true,
	  .spooled = "1 same a;1 same b;1 same c;",
	  .talk = TALK(LIVE_3, { DEVICE, "32{<'same'>0001'a'} 32{<'same'>0002'b'}",
	                         "32{<'same'>0001'a'} 32{<'same'>0002'b'}", NULL }, { LOST },
	               { DEVICE, "32{<'same'>0003'c'}", NULL, NULL },
	               { STORED, NULL, NULL, "40 02 0001" }, { STORED, NULL, NULL, "40 02 0002" },
	               { STORED, NULL, NULL, "40 02 0003" }) },
	{ .name = "acknowledged ones are not", .hold = true, .spooled = "1 same b;",
	  .talk = TALK(LIVE_3, { DEVICE, "32{<'same'>0001'a'} 32{<'same'>0002'b'}",
	                         "32{<'same'>0001'a'} 32{<'same'>0002'b'}", NULL },
	               { BROKER, "40 02 0001", NULL, "40 02 0001" }, { LOST },
	               { STORED, NULL, NULL, "40 02 0002" }) },
	{ .name = "half of one is completed", .hold = true, .spooled = "1 same abcd;",
	  .talk = TALK(LIVE_3, { DEVICE, "32 0c<'same'>0001'ab'", "32 0c<'same'>0001'ab'", NULL },
	               { LOST }, { DEVICE, "'cd'", NULL, NULL },
	               { STORED, NULL, NULL, "40 02 0001" }) },
	{ .name = "over limits.hold_memory it cannot be held", .hold = true,
	  .limits = { .hold_memory = 10 },
	  .talk = TALK(LIVE_3, { DEVICE, "32{<'same'>0001'a'}", "32{<'same'>0001'a'}", NULL },
	               { LOST }),
	  .ending = ENDS(BROKER, SERVER_SHUTTING_DOWN, "closed the connection") },
	{ .name = "until the broker has acknowledged", .hold = true, .limits = { .hold_memory = 10 },
	  .talk = TALK(LIVE_3, { DEVICE, "32{<'same'>0001'a'}", "32{<'same'>0001'a'}", NULL },
	               { BROKER, "40 02 0001", NULL, "40 02 0001" }, { LOST },
	               { DEVICE, "c000", NULL, "d000" }) },
	{ .name = "refused by the store: nothing is acknowledged any more", .hold = true,
	  .talk = TALK(HELD_5, { DEVICE, "32{<'same'>0001{}'a'} 32{<'same'>0002{}'b'}", NULL, NULL },
	               { REFUSED }, { STORED }, { DEVICE, "32{<'same'>0003{}'c'} c000", NULL, "d000" },
	               { OPEN, NULL, NULL,
	                 "e0{97{1f<'has publishes that the store could not keep'>}}" }),
	  .ending = ENDS(GATEWAY, QUOTA_EXCEEDED, "has publishes that the store could not keep") },
};

static const struct scene rules[] = {
	{ .name = "a rule that stores, live", .hold = true,
	  .spooled = "0 kept/dev a;1 kept/dev b;",
	  .talk = TALK(LIVE_3, { DEVICE, "30{<'kept'>'a'} 32{<'kept'>0001'b'}", NULL, NULL },
	               { STORED }, { STORED, NULL, NULL, "40 02 0001" }) },
	{ .name = "the broker's acknowledgement waits for the store's", .hold = true,
	  .talk = TALK(LIVE_3, { DEVICE, "32{<'kept'>0001'a'} 32{<'same'>0002'b'}",
	                         "32{<'same'>0002'b'}", NULL },
	               { BROKER, "40 02 0002", NULL, NULL },
	               { STORED, NULL, NULL, "40 02 0001 40 02 0002" }) },
	{ .name = "and the other way round", .hold = true,
	  .talk = TALK(LIVE_3, { DEVICE, "32{<'same'>0001'a'} 32{<'kept'>0002'b'}",
	                         "32{<'same'>0001'a'}", NULL },
	               { STORED }, { BROKER, "40 02 0001", NULL, "40 02 0001 40 02 0002" }) },
	{ .name = "QoS 2 does not exist there", .hold = true,
	  .talk = TALK(LIVE_5, { DEVICE, "34{<'kept'>0001{}'a'}", NULL, "50 03 0001 87" }) },
	{ .name = "a full store ends a live session", .hold = true,
	  .talk = TALK(LIVE_5, { DEVICE, "32{<'kept'>0001{}'a'}", NULL, NULL },
	               { REFUSED, NULL, NULL,
	                 "e0{97{1f<'published what the store could not keep'>}}" }),
	  .ending = ENDS(GATEWAY, QUOTA_EXCEEDED, "published what the store could not keep") },
	{ .name = "QoS 0 that the store refused is gone", .hold = true,
	  .talk = TALK(LIVE_5, { DEVICE, "30{<'kept'>{}'a'}", NULL, NULL }, { REFUSED },
	               { DEVICE, "c000", "c000", NULL }) },
};

#define ALIASES_5 CONNECT_5, OPEN_5, { BROKER, "20{00 00{22 0003}}", NULL, "20{00 00{22 0003}}" }

static const struct scene returns[] = {
	{ .name = "subscriptions are made again", .hold = true,
	  .talk = TALK(LIVE_3, { DEVICE, "82{0001<'inTopic'>02<'all/#'>01}",
	                         "82{0001<'home/dev/command'>02<'broadcast/#'>01}", NULL },
	               { BROKER, "90{0001 02 01}", NULL, "90{0001 02 01}" }, { LOST }, OPEN_3,
	               { BROKER, "20 02 00 00", "82{ffff<'home/dev/command'>02}"
	                                        "82{fffe<'broadcast/#'>01}", NULL },
	               { DEVICE, "c000", NULL, NULL }, { BROKER, "90{ffff 02}", NULL, NULL },
	               { BROKER, "90{fffe 01}", NULL, NULL }) },
	{ .name = "in 5.0 with options, identifier and without retained messages", .hold = true,
	  .talk = TALK(LIVE_5, { DEVICE, "82{0001{0b 07}<'inTopic'>0d}",
	                         "82{0001{0b 07}<'home/dev/command'>0d}", NULL },
	               { BROKER, "90{0001{}01}", NULL, "90{0001{}01}" }, { LOST }, OPEN_5,
	               { BROKER, "20{00 00{}}", "82{ffff{0b 07}<'home/dev/command'>2d}", NULL },
	               { BROKER, "90{ffff{}01}", NULL, NULL },
	               { DEVICE, "c000", "c000", NULL }) },
	{ .name = "one that is refused", .hold = true,
	  .talk = TALK(LIVE_5, { DEVICE, "82{0001{}<'inTopic'>01}",
	                         "82{0001{}<'home/dev/command'>01}", NULL },
	               { BROKER, "90{0001{}01}", NULL, "90{0001{}01}" }, { LOST }, OPEN_5,
	               { BROKER, "20{00 00{}}", "82{ffff{}<'home/dev/command'>21}", NULL },
	               { BROKER, "90{ffff{}00}", NULL, "e0 01 8b" }),
	  .ending = ENDS(BROKER, SERVER_SHUTTING_DOWN, "does not grant a subscription again") },
	{ .name = "what waited goes last", .hold = true,
	  .talk = TALK(HELD_3, { DEVICE, "82{0004<'inTopic'>01} a2{0005<'all/#'>}", NULL, NULL },
	               OPEN_3, { BROKER, "20 02 00 00",
	                         "82{0004<'home/dev/command'>01} a2{0005<'broadcast/#'>}", NULL },
	               { BROKER, "90{0004 01}", NULL, "90{0004 01}" },
	               { BROKER, "b0{0005}", NULL, "b0{0005}" }) },
	{ .name = "what was under way is sent again", .hold = true,
	  .talk = TALK(LIVE_3, { DEVICE, "82{0004<'inTopic'>01}",
	                         "82{0004<'home/dev/command'>01}", NULL }, { LOST }, OPEN_3,
	               { BROKER, "20 02 00 00", "82{0004<'home/dev/command'>01}", NULL },
	               { BROKER, "90{0004 01}", NULL, "90{0004 01}" }) },
	{ .name = "but not for ever", .hold = true,
	  .talk = TALK(LIVE_3, { DEVICE, "82{0004<'inTopic'>01}",
	                         "82{0004<'home/dev/command'>01}", NULL }, { LOST }, OPEN_3,
	               WAITED_3, { LOST }, OPEN_3, WAITED_3, { LOST }, OPEN_3, WAITED_3, { LOST }),
	  .ending = ENDS(BROKER, SERVER_SHUTTING_DOWN, "closed the connection") },
	{ .name = "an answer begins the count anew", .hold = true,
	  .talk = TALK(LIVE_3, { DEVICE, "82{0004<'inTopic'>01}",
	                         "82{0004<'home/dev/command'>01}", NULL }, { LOST }, OPEN_3,
	               WAITED_3, { LOST }, OPEN_3, WAITED_3, { LOST }, OPEN_3, WAITED_3,
	               { BROKER, "90{0004 01}", NULL, "90{0004 01}" }, { LOST },
	               { DEVICE, "c000", NULL, "d000" }) },
	{ .name = "a session that was not there", .hold = true,
	  .talk = TALK(HELD_5, OPEN_5, { BROKER, "20{01 00{}}", NULL, "e0 01 8b" }),
	  .ending = ENDS(BROKER, SERVER_SHUTTING_DOWN, "had a session where there was none") },
	{ .name = "other limits", .hold = true,
	  .talk = TALK(HELD_5, OPEN_5, { BROKER, "20{00 00{21 0014}}", NULL, "e0 01 8b" }),
	  .ending = ENDS(BROKER, SERVER_SHUTTING_DOWN, "came back with other limits") },
	{ .name = "refused", .hold = true,
	  .talk = TALK(HELD_5, OPEN_5, { BROKER, "20{00 87{}}", NULL, "e0 01 8b" }),
	  .ending = ENDS(BROKER, SERVER_SHUTTING_DOWN, "refused the device when it was back") },
	{ .name = "an old acknowledgement is swallowed", .hold = true,
	  .talk = TALK(LIVE_3, { BROKER, "32{<'home/dev/command'>0001'x'}", NULL,
	                         "32{<'inTopic'>0001'x'}" }, { LOST },
	               { DEVICE, "40 02 0001", NULL, NULL }, BACK_3,
	               { BROKER, "32{<'home/dev/command'>0001'y'}", NULL,
	                 "32{<'inTopic'>0001'y'}" },
	               { DEVICE, "40 02 0001", "40 02 0001", NULL }) },
	{ .name = "one that is missing", .hold = true,
	  .talk = TALK(LIVE_3, { BROKER, "32{<'home/dev/command'>0001'x'}", NULL,
	                         "32{<'inTopic'>0001'x'}" }, { LOST }, { OPEN }),
	  .ending = ENDS(GATEWAY, SERVER_SHUTTING_DOWN,
	                 "has not acknowledged what the lost connection brought") },
	{ .name = "aliases are defined again with their first use", .hold = true,
	  .spooled = "0 log/dev/b y;",
	  .talk = TALK(ALIASES_5,
	               { DEVICE, "30{<'same'>{23 0001}'x'}", "30{<'same'>{23 0001}'x'}", NULL }, { LOST },
	               { DEVICE, "30{<'log/b'>{23 0002}'y'}", NULL, NULL }, { STORED }, OPEN_5,
	               { BROKER, "20{00 00{22 0003}}", NULL, NULL },
	               { DEVICE, "30{<>{23 0001}'1'}", "30{<'same'>{23 0001}'1'}", NULL },
	               { DEVICE, "30{<>{23 0001}'2'}", "30{<>{23 0001}'2'}", NULL },
	               { DEVICE, "30{<>{23 0002}'3'}", "30{<'log/dev/b'>{23 0002}'3'}", NULL }) },
	{ .name = "also of one that was too large to be stored", .hold = true,
	  .limits = { .packet_memory = 40 },
	  .talk = TALK(ALIASES_5, { LOST },
	               { DEVICE, "30{<'same'>{23 0001}'0123456789012345678901234567890123456789'}",
	                 NULL, NULL }, OPEN_5,
	               { BROKER, "20{00 00{22 0003}}", NULL, NULL },
	               { DEVICE, "30{<>{23 0001}'1'}", "30{<'same'>{23 0001}'1'}", NULL }) },
	{ .name = "lost again in between", .hold = true,
	  .talk = TALK(HELD_3, OPEN_3, { LOST }, { DEVICE, "c000", NULL, "d000" }, BACK_3,
	               { DEVICE, "c000", "c000", NULL }) },
};

#define ADMITTED_5 "20{00 00{21 000a 24 01 27 00001000}}"

static const struct scene admissions[] = {
	{ .name = "a clean session is let in", .hold = true, .spooled = "1 same a;",
	  .talk = TALK(CONNECT_3, { ADMIT, NULL, NULL, "20 02 00 00" },
	               { DEVICE, "32{<'same'>0001'a'}", NULL, NULL },
	               { STORED, NULL, NULL, "40 02 0001" }, BACK_3,
	               { DEVICE, "c000", "c000", NULL }) },
	{ .name = "in 5.0 with what any broker grants", .hold = true,
	  .talk = TALK(CONNECT_5, { ADMIT, NULL, NULL, ADMITTED_5 }, BACK_5,
	               { DEVICE, "c000", "c000", NULL }) },
	{ .name = "QoS 2 after that is a fault", .hold = true,
	  .talk = TALK(CONNECT_5, { ADMIT, NULL, NULL, ADMITTED_5 },
	               { DEVICE, "34{<'same'>0001{}'a'}", NULL,
	                 "e0{9b{1f<'published with QoS 2 though CONNACK said 1'>}}" }),
	  .ending = ENDS(DEVICE, QOS_NOT_SUPPORTED, "published with QoS 2 though CONNACK said 1") },
	{ .name = "a broker that grants less", .hold = true,
	  .talk = TALK(CONNECT_5, { ADMIT, NULL, NULL, ADMITTED_5 }, OPEN_5,
	               { BROKER, "20{00 00{21 0009}}", NULL, "e0 01 8b" }),
	  .ending = ENDS(BROKER, SERVER_SHUTTING_DOWN, "came back with other limits") },
	{ .name = "a persistent session is not", .hold = true,
	  .talk = TALK({ DEVICE, "10{<'MQTT'>04 00 003c<'c1'>}", NULL, NULL },
	               { ADMIT, NULL, NULL, "20 02 00 03" }),
	  .ending = ENDS(BROKER, SERVER_UNAVAILABLE, "is away") },
	{ .name = "but to publish only", .hold = true, .publish_only = true, .spooled = "1 same a;",
	  .talk = TALK({ DEVICE, "10{<'MQTT'>04 00 003c<'c1'>}", NULL, NULL },
	               { ADMIT, NULL, NULL, "20 02 00 00" },
	               { DEVICE, "82{0004<'inTopic'>01<'all/#'>00} a2{0005<'all/#'>}", NULL,
	                 "90{0004 80 80} b0{0005}" },
	               { DEVICE, "32{<'same'>0001'a'}", NULL, NULL },
	               { STORED, NULL, NULL, "40 02 0001" }, { OPEN }),
	  .ending = ENDS(GATEWAY, SERVER_SHUTTING_DOWN,
	                 "was let in to publish only, and the broker is back") },
	{ .name = "whose session ends with it", .hold = true, .publish_only = true,
	  .talk = TALK({ DEVICE, "10{<'MQTT'>05 02 003c{11 0000003c}<'c1'>}", NULL, NULL },
	               { ADMIT, NULL, NULL,
	                 "20{00 00{21 000a 24 01 27 00001000 11 00000000}}" },
	               { DEVICE, "82{0004{}<'inTopic'>01}", NULL, "90{0004{}83}" }) },
	{ .name = "AUTH needs a broker", .hold = true,
	  .talk = TALK({ DEVICE, "10{<'MQTT'>05 02 003c{15<'m'>}<'c1'>}", NULL, NULL },
	               { ADMIT, NULL, NULL, "20{00 88{}}" }),
	  .ending = ENDS(BROKER, SERVER_UNAVAILABLE, "is away") },
	{ .name = "not where the map says no",
	  .talk = TALK(CONNECT_3, { ADMIT, NULL, NULL, "20 02 00 03" }),
	  .ending = ENDS(BROKER, SERVER_UNAVAILABLE, "is away") },
};

#define WILL_3 { DEVICE, "10{<'MQTT'>04 2e 003c<'c1'><'Home'><'off'>}", NULL, NULL }
#define WILL_OPEN_3 { OPEN, NULL, \
	"10{<'MQTT'>04 ae 003c<'dev'><'home/dev/telemetry'><'off'><'dev'>}", NULL }

static const struct scene wills[] = {
	{ .name = "due when the device is lost", .hold = true,
	  .spooled = "1r home/dev/telemetry off;",
	  .talk = TALK(WILL_3, { ADMIT, NULL, NULL, "20 02 00 00" }, { CLOSING }, { CLOSING }) },
	{ .name = "not after DISCONNECT", .hold = true, .spooled = "",
	  .talk = TALK(WILL_3, { ADMIT, NULL, NULL, "20 02 00 00" }, { DEVICE, "e000", NULL, NULL },
	               { CLOSING }),
	  .ending = ENDS(DEVICE, SUCCESS, "disconnected") },
	{ .name = "but after DISCONNECT with will, without its delay", .hold = true,
	  .spooled = "0 home/dev/telemetry off expires 9 0101;",
	  .talk = TALK({ DEVICE, "10{<'MQTT'>05 06 003c{}<'c1'>{18 0000003c 01 01 02 00000009}"
	                         "<'Home'><'off'>}", NULL, NULL },
	               { ADMIT, NULL, NULL, ADMITTED_5 }, { DEVICE, "e0 01 04", NULL, NULL },
	               { CLOSING }),
	  .ending = ENDS(DEVICE, SUCCESS, "disconnected") },
	{ .name = "the broker's business once it knows", .hold = true, .spooled = "",
	  .talk = TALK(WILL_3, { ADMIT, NULL, NULL, "20 02 00 00" }, WILL_OPEN_3,
	               { BROKER, "20 02 00 00", NULL, NULL }, { CLOSING }) },
	{ .name = "QoS 2 can be granted by a broker only", .hold = true,
	  .talk = TALK({ DEVICE, "10{<'MQTT'>05 16 003c{}<'c1'>{}<'Home'><'x'>}", NULL, NULL },
	               { ADMIT, NULL, NULL, "20{00 88{}}" }),
	  .ending = ENDS(BROKER, SERVER_UNAVAILABLE, "is away") },
	{ .name = "nor is one let in that the broker may have taken", .hold = true,
	  .talk = TALK(WILL_3, WILL_OPEN_3, { ADMIT, NULL, NULL, "20 02 00 03" }),
	  .ending = ENDS(BROKER, SERVER_UNAVAILABLE, "is away") },
};

#define PLAYS(name, scenes)                              \
	static void name(void **state)                   \
	{                                                \
		(void)state;                             \
		talk_play_all(scenes, COUNT_OF(scenes)); \
	}
PLAYS(some_are_held, who)
PLAYS(publishes_are_stored, publishes)
PLAYS(rules_store, rules)
PLAYS(what_comes_back, returns)
PLAYS(some_are_let_in, admissions)
PLAYS(wills_are_kept, wills)

/* Of QoS 1 there is a copy; what cannot be saved is counted. */
static void
half_of_one_without_a_copy_is_counted(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		int lost;
	} half[] = { { "\x30\x0a\0\4same12", 10, 1 }, { "\x32\x0a\0\4same\0\1" "1", 11, 0 },
		{ "\x30\x07\0\4same1", 9, 0 } };
	const struct scene scene = { .name = "half", .hold = true };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(half); i++) {
		struct talker t;

		talk_start(&t, &scene);
		talk_feed(&t, DEVICE, span_of("\x10\x0e\0\4MQTT\4\2\0\x3c\0\2c1", 16));
		talk_do(&t, OPEN);
		talk_feed(&t, BROKER, span_of("\x20\2\0\0", 4));
		talk_feed(&t, DEVICE, span_of(half[i].bytes, half[i].len));
		talk_do(&t, LOST);
		assert_int_equal(relay_phase(t.relay), RELAY_HELD);
		assert_int_equal(metric_read(&t.metrics, METRIC_STORE_REFUSED), half[i].lost);
		talk_stop(&t);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(some_are_held),   cmocka_unit_test(publishes_are_stored),
		cmocka_unit_test(rules_store),     cmocka_unit_test(what_comes_back),
		cmocka_unit_test(some_are_let_in), cmocka_unit_test(wills_are_kept),
		cmocka_unit_test(half_of_one_without_a_copy_is_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
