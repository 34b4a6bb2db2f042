/* SPDX-License-Identifier: BSD-2-Clause */
/* Prints the manual page gateway-diagnosis(7) from the table of causes. */
#include <stdio.h>
#include <stdlib.h>

#include "diagnose/diagnose.h"

#define WIDTH 76

static const char head[] =
	".\\\" SPDX-License-Identifier: BSD-2-Clause\n"
	".\\\" Made from src/diagnose/causes.def: change that.\n"
	".Dd November 23, 2026\n"
	".Dt GATEWAY-DIAGNOSIS 7\n"
	".Os mkr-gateway\n"
	".Sh NAME\n"
	".Nm gateway-diagnosis\n"
	".Nd why a device was refused, and what to do\n"
	".Sh DESCRIPTION\n"
	"When a connection fails,\n"
	".Xr gatewayd 8\n"
	"reasons from all that it saw to the one most likely cause.\n"
	"Each cause has a name that does not change, a sentence that tells what happened,\n"
	"and a remedy.\n"
	"Below, words in angle brackets stand for what is filled in: names, dates and\n"
	"numbers of the device.\n"
	".Pp\n"
	"The confidence is high where the facts leave no other cause, medium where\n"
	"another is possible, low where it is a guess.\n"
	"Codes are what a sketch can print:\n"
	".Fn errorCode\n"
	"of BearSSLClient,\n"
	".Fn state\n"
	"of PubSubClient and\n"
	".Fn connectError\n"
	"of ArduinoMqttClient.\n"
	"Causes marked as strangers are scans and other programs: they are counted,\n"
	"and no device is to blame.\n"
	".Sh CAUSES\n";

static const char tail[] =
	".Sh SEE ALSO\n"
	".Xr gatewayctl 1 ,\n"
	".Xr gateway.conf 5 ,\n"
	".Xr gatewayd 8\n";

/* A word, with what mdoc would take for a request made harmless. */
static void
print_word(const char *word, size_t len, bool first)
{
	if (first && (word[0] == '.' || word[0] == '\'')) {
		fputs("\\&", stdout);
	}
	for (size_t i = 0; i < len; i++) {
		switch (word[i]) {
		case '\\':
			fputs("\\e", stdout);
			break;
		case '{':
			putchar('<');
			break;
		case '}':
			putchar('>');
			break;
		case '(':
			/* No reference to a function: those want a markup of their own. */
			fputs(i + 1 < len && word[i + 1] == ')' ? "(\\&" : "(", stdout);
			break;
		default:
			putchar(word[i]);
		}
	}
}

static bool
ends_sentence(const char *word, size_t len)
{
	return len > 0 && strchr(".!?", word[len - 1]) != NULL;
}

/* Filled lines, each sentence on a line of its own as mdoc wants it. */
static void
fill(const char *text)
{
	size_t column = 0;

	while (*text != '\0') {
		size_t len = strcspn(text, " ");

		if (column > 0 && column + 1 + len > WIDTH) {
			putchar('\n');
			column = 0;
		}
		if (column > 0) {
			putchar(' ');
			column++;
		}
		print_word(text, len, column == 0);
		column += len;
		if (ends_sentence(text, len)) {
			putchar('\n');
			column = 0;
		}
		text += len;
		text += strspn(text, " ");
	}
	if (column > 0) {
		putchar('\n');
	}
}

static bool
is_note(const char *at)
{
	size_t len = strcspn(at, "}");

	return at[0] == '{' && at[len] == '}' && len > 5 && strncmp(at + len - 4, "note", 4) == 0;
}

/* Without the notes, which are only there now and then; a device is a device. */
static void
print_text(const char *text)
{
	static const char in_sentence[] = " in sentence}";
	char plain[DIAGNOSE_SENTENCE];
	size_t len = 0;

	while (*text != '\0' && len < sizeof plain - 1) {
		if (is_note(text)) {
			text += strcspn(text, "}") + 1;
		} else if (strncmp(text, in_sentence, sizeof in_sentence - 1) == 0) {
			text += sizeof in_sentence - 2;
		} else {
			plain[len++] = *text++;
		}
	}
	plain[len] = '\0';
	fill(plain);
}

static void
print_entry(const struct diagnose_entry *entry)
{
	static const char *const class[] = {
		[CLASS_FAILURE] = "", [CLASS_STRANGER] = ", a stranger",
		[CLASS_WARNING] = ", a warning", [CLASS_NOTICE] = ", not a failure",
	};

	printf(".It Sy %s\n", entry->id);
	print_text(entry->title);
	printf("(confidence %s%s).\n.Pp\n", diagnose_confidence_text(entry->confidence),
	       class[entry->class]);
	print_text(entry->sentence);
	fputs(".Pp\n.Em Remedy :\n", stdout);
	print_text(entry->remedy);
	if (entry->codes[0] != '\0') {
		fputs(".Pp\n.Em Codes :\n", stdout);
		print_text(entry->codes);
	}
}

int
main(void)
{
	fputs(head, stdout);
	for (unsigned group = 0; group < GROUP_COUNT; group++) {
		printf(".Ss %s\n.Bl -tag -width Ds\n", diagnose_group_text(group));
		for (unsigned cause = 0; cause < CAUSE_COUNT; cause++) {
			if (diagnose_entry(cause)->group == group) {
				print_entry(diagnose_entry(cause));
			}
		}
		fputs(".El\n", stdout);
	}
	fputs(tail, stdout);
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
