/* SPDX-License-Identifier: BSD-2-Clause */
/* The rest of hal/sensor.h: LED, serial number, the temperature of the chip itself. */
#include "hal/sensor.h"

#include "board/board.h"
#include "hal/hal_int.h"
#include "hal/time.h"

#define PIN_LED (1u << 20)
#define PIN_ONEWIRE 10
#define ADC_INPUT_TEMPERATURE 0x00001818u /* against ground, gain 1 */
#define ADC_16_SAMPLES 0x44u              /* and the sum divided by 16 */
#define ADC_12_BIT_DIV_64 0x0410u         /* of an average */
#define ADC_MS 20

void
sensor_init(void)
{
	PORT_A->OUTCLR = PIN_LED;
	PORT_A->DIRSET = PIN_LED;
	PORT_A->OUTSET = 1u << PIN_ONEWIRE;
	PORT_A->PINCFG[PIN_ONEWIRE] = PORT_PINCFG_INEN | PORT_PINCFG_PULLEN;
}

void
led_set(bool on)
{
	if (on) {
		PORT_A->OUTSET = PIN_LED;
	} else {
		PORT_A->OUTCLR = PIN_LED;
	}
}

void
board_serial(uint8_t out[16])
{
	static const uint32_t address[4] = { 0x0080A00C, 0x0080A040, 0x0080A044, 0x0080A048 };

	for (unsigned i = 0; i < 4; i++) {
		uint32_t word = *(const volatile uint32_t *)address[i];

		for (unsigned byte = 0; byte < 4; byte++) {
			*out++ = (uint8_t)(word >> (24 - 8 * byte));
		}
	}
}

static bool
adc_wait(void)
{
	struct deadline d = deadline_in(ADC_MS);

	while ((ADC->STATUS & ADC_STATUS_SYNCBUSY) != 0) {
		if (deadline_over(&d)) {
			return false;
		}
	}
	return true;
}

static bool
adc_sample(uint16_t *out)
{
	struct deadline d;

	ADC->SWTRIG = ADC_SWTRIG_START;
	if (!adc_wait()) {
		return false;
	}
	d = deadline_in(ADC_MS);
	while ((ADC->INTFLAG & ADC_INTFLAG_RESRDY) == 0) {
		if (deadline_over(&d)) {
			return false;
		}
	}
	*out = ADC->RESULT;
	return true;
}

static bool
adc_start(void)
{
	uint32_t low = NVM_CALIBRATION_ADC_LOW;
	uint32_t high = NVM_CALIBRATION_DFLL;

	clock_peripheral(PM_APBCMASK_ADC, GCLK_ID_ADC);
	SYSCTRL_VREF |= SYSCTRL_VREF_TSEN;
	ADC->CTRLA = ADC_CTRLA_SWRST;
	if (!adc_wait()) {
		return false;
	}
	ADC->CALIB = (uint16_t)((high >> 3 & 7) << 8 | (high & 7) << 5 | low >> 27);
	ADC->REFCTRL = 0; /* the 1 V reference */
	ADC->AVGCTRL = ADC_16_SAMPLES;
	ADC->SAMPCTRL = 63;
	ADC->CTRLB = ADC_12_BIT_DIV_64;
	if (!adc_wait()) {
		return false;
	}
	ADC->INPUTCTRL = ADC_INPUT_TEMPERATURE;
	if (!adc_wait()) {
		return false;
	}
	ADC->CTRLA = ADC_CTRLA_ENABLE;
	return adc_wait();
}

/*
 * The factory left two points in the temperature log: temperature, reading,
 * and by how much the 1 V reference was off (in mV, signed). A line through
 * them; good to some degrees, which is what a stand-in has to be.
 */
static bool
temperature_of(uint16_t reading, int16_t *centi)
{
	uint32_t low = NVM_TEMPERATURE_LOG[0];
	uint32_t high = NVM_TEMPERATURE_LOG[1];
	int32_t room = (int32_t)(low & 0xFF) * 100 + (int32_t)(low >> 8 & 0xF) * 10;
	int32_t hot = (int32_t)(low >> 12 & 0xFF) * 100 + (int32_t)(low >> 20 & 0xF) * 10;
	int32_t room_mv = 1000 - (int8_t)(low >> 24);
	int32_t hot_mv = 1000 - (int8_t)(high & 0xFF);
	int32_t room_uv = (int32_t)(high >> 8 & 0xFFF) * room_mv / 4;
	int32_t hot_uv = (int32_t)(high >> 20) * hot_mv / 4;
	int32_t here = (int32_t)reading * 1000 / 4;
	int32_t value;

	if (low == 0xFFFFFFFF || hot_uv <= room_uv || hot <= room) {
		return false;
	}
	/* Differences stay below 2^14 and 2^18 in any sane log; 64 bits for an insane one. */
	value = room + (int32_t)((int64_t)(hot - room) * (here - room_uv) / (hot_uv - room_uv));
	if (value < -5500 || value > 12500) {
		return false;
	}
	*centi = (int16_t)value;
	return true;
}

bool
temperature_internal(int16_t *centi)
{
	uint16_t reading = 0;
	bool done;

	done = adc_start() && adc_sample(&reading) && adc_sample(&reading);
	ADC->CTRLA = 0;
	adc_wait();
	SYSCTRL_VREF &= ~SYSCTRL_VREF_TSEN;
	return done && temperature_of(reading, centi);
}
