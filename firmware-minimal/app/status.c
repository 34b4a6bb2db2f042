/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/app.h"

#include "app/log.h"
#include "board/board.h"
#include "hal/nvm.h"
#include "hal/sensor.h"
#include "hal/time.h"
#include "provision/page.h"

static struct report_facts facts;
static struct report_budget budget;
static bool led_wanted;
static uint32_t shown_since;
static uint32_t page[REPORT_PAGE_MAX / 4]; /* words: the flash is written by words */

void
status_start(void)
{
	uint32_t left;

	report_recall(&facts, nvm_at(PAGE_REPORT_ADDRESS));
	report_budget_start(&budget, time_ms());
	/* A board that crashes again and again must not wear out its flash over it. */
	if (board_recall(&left) && left < budget.left) {
		budget.left = left;
	}
	board_remember(budget.left);
}

struct report_facts *
status_facts(void)
{
	return &facts;
}

/* Compared first: the budget is for writes, not for questions. */
void
status_save(void)
{
	size_t size = report_page(&facts, nvm_at(PAGE_REPORT_ADDRESS), (uint8_t *)page, sizeof page);

	if (size == 0 || !report_budget_take(&budget, time_ms())) {
		return;
	}
	board_remember(budget.left);
	if (!nvm_write(PAGE_REPORT_ADDRESS, page, size)) {
		log_line("the report page could not be written");
	}
}

void
status_report(enum report code, const char *detail)
{
	if (code != facts.state) {
		shown_since = time_ms();
	}
	facts.state = code;
	if (detail != NULL) {
		log_line("report %u: %s (%s)", (unsigned)code, report_text(code), detail);
	} else {
		log_line("report %u: %s", (unsigned)code, report_text(code));
	}
	status_save();
}

enum report
status_current(void)
{
	return facts.state;
}

void
status_led(bool on)
{
	led_wanted = on;
}

void
status_show(void)
{
	led_set(facts.state == REPORT_NONE ? led_wanted
	                                   : report_blink(facts.state, time_ms() - shown_since));
}
