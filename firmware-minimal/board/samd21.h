/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Registers of the SAMD21G18A, only those that this firmware uses. Names
 * follow the data sheet; numbers are of the fact sheet samd21, sections 1-3.
 */
#ifndef BOARD_SAMD21_H
#define BOARD_SAMD21_H

#include <stdint.h>

#define CPU_HZ 48000000u

/* ---- power manager ---- */

#define PM_APBCMASK (*(volatile uint32_t *)0x40000420u)
#define PM_RCAUSE (*(volatile uint8_t *)0x40000438u)
#define PM_APBCMASK_SERCOM2 (1u << 4)
#define PM_APBCMASK_SERCOM4 (1u << 6)
#define PM_APBCMASK_SERCOM5 (1u << 7)
#define PM_APBCMASK_ADC (1u << 16)
#define PM_RCAUSE_POR (1u << 0)
#define PM_RCAUSE_EXT (1u << 4)
#define PM_RCAUSE_WDT (1u << 5)
#define PM_RCAUSE_SYST (1u << 6)

/* ---- clocks ---- */

#define SYSCTRL_PCLKSR (*(volatile uint32_t *)0x4000080Cu)
#define SYSCTRL_XOSC32K (*(volatile uint16_t *)0x40000814u)
#define SYSCTRL_OSC8M (*(volatile uint32_t *)0x40000820u)
#define SYSCTRL_DFLLCTRL (*(volatile uint16_t *)0x40000824u)
#define SYSCTRL_DFLLVAL (*(volatile uint32_t *)0x40000828u)
#define SYSCTRL_DFLLMUL (*(volatile uint32_t *)0x4000082Cu)
#define SYSCTRL_VREF (*(volatile uint32_t *)0x40000840u)
#define SYSCTRL_PCLKSR_XOSC32KRDY (1u << 1)
#define SYSCTRL_PCLKSR_DFLLRDY (1u << 4)
#define SYSCTRL_PCLKSR_DFLLLCKF (1u << 6)
#define SYSCTRL_PCLKSR_DFLLLCKC (1u << 7)
#define SYSCTRL_OSC8M_PRESC (3u << 8)
#define SYSCTRL_VREF_TSEN (1u << 1)

#define GCLK_STATUS (*(volatile uint8_t *)0x40000C01u)
#define GCLK_CLKCTRL (*(volatile uint16_t *)0x40000C02u)
#define GCLK_GENCTRL (*(volatile uint32_t *)0x40000C04u)
#define GCLK_GENDIV (*(volatile uint32_t *)0x40000C08u)
#define GCLK_STATUS_SYNCBUSY (1u << 7)
#define GCLK_CLKCTRL_CLKEN (1u << 14)
#define GCLK_CLKCTRL_GEN(n) ((unsigned)(n) << 8)
#define GCLK_ID_DFLL 0x00u
#define GCLK_ID_WDT 0x03u
#define GCLK_ID_SERCOM2 0x16u
#define GCLK_ID_SERCOM4 0x18u
#define GCLK_ID_SERCOM5 0x19u
#define GCLK_ID_ADC 0x1Eu

/* ---- watchdog ---- */

#define WDT_CTRL (*(volatile uint8_t *)0x40001000u)
#define WDT_CONFIG (*(volatile uint8_t *)0x40001001u)
#define WDT_STATUS (*(volatile uint8_t *)0x40001007u)
#define WDT_CLEAR (*(volatile uint8_t *)0x40001008u)
#define WDT_CTRL_ENABLE (1u << 1)
#define WDT_STATUS_SYNCBUSY (1u << 7)
#define WDT_CLEAR_KEY 0xA5u
#define WDT_PER_16S 0xBu

/* ---- flash ---- */

#define NVMCTRL_CTRLA (*(volatile uint16_t *)0x41004000u)
#define NVMCTRL_CTRLB (*(volatile uint32_t *)0x41004004u)
#define NVMCTRL_INTFLAG (*(volatile uint8_t *)0x41004014u)
#define NVMCTRL_STATUS (*(volatile uint16_t *)0x41004018u)
#define NVMCTRL_ADDR (*(volatile uint32_t *)0x4100401Cu)
#define NVMCTRL_CMD_ERASE_ROW 0xA502u
#define NVMCTRL_CMD_WRITE_PAGE 0xA504u
#define NVMCTRL_CMD_CLEAR_PAGE_BUFFER 0xA544u
#define NVMCTRL_CMD_INVALIDATE 0xA546u
#define NVMCTRL_INTFLAG_READY (1u << 0)
#define NVMCTRL_STATUS_ERRORS 0x001Cu
/* One wait state and no automatic page write (2.2, 3.10). */
#define NVMCTRL_CTRLB_AT_48_MHZ 0x00000082u
#define NVM_CALIBRATION_DFLL (*(const volatile uint32_t *)0x00806024u)
#define NVM_CALIBRATION_ADC_LOW (*(const volatile uint32_t *)0x00806020u)
#define NVM_TEMPERATURE_LOG ((const volatile uint32_t *)0x00806030u)

/* ---- pins ---- */

struct port_group {
	volatile uint32_t DIR, DIRCLR, DIRSET, DIRTGL, OUT, OUTCLR, OUTSET, OUTTGL;
	volatile const uint32_t IN;
	volatile uint32_t CTRL, WRCONFIG, reserved;
	volatile uint8_t PMUX[16], PINCFG[32];
};
#define PORT_A ((struct port_group *)0x41004400u)
#define PORT_B ((struct port_group *)0x41004480u)
#define PORT_PINCFG_PMUXEN (1u << 0)
#define PORT_PINCFG_INEN (1u << 1)
#define PORT_PINCFG_PULLEN (1u << 2)
#define PORT_FUNCTION_D 3u

/* ---- serial interfaces: one block, three faces ---- */

struct sercom {
	volatile uint32_t CTRLA, CTRLB, reserved_08;
	union {
		volatile uint8_t SPI_BAUD;
		volatile uint16_t USART_BAUD;
		volatile uint32_t I2C_BAUD;
	};
	volatile uint32_t reserved_10;
	volatile uint8_t INTENCLR, reserved_15, INTENSET, reserved_17, INTFLAG, reserved_19;
	volatile uint16_t STATUS;
	volatile uint32_t SYNCBUSY, reserved_20, ADDR;
	union {
		volatile uint16_t DATA; /* USART */
		volatile uint32_t SPI_DATA;
		volatile uint8_t I2C_DATA;
	};
};
#define SERCOM2 ((struct sercom *)0x42001000u)
#define SERCOM4 ((struct sercom *)0x42001800u)
#define SERCOM5 ((struct sercom *)0x42001C00u)
#define SERCOM_CTRLA_SWRST (1u << 0)
#define SERCOM_CTRLA_ENABLE (1u << 1)
#define SERCOM_SYNCBUSY_SWRST (1u << 0)
#define SERCOM_SYNCBUSY_ENABLE (1u << 1)
#define SERCOM_SYNCBUSY_CTRLB (1u << 2)
#define SERCOM_SYNCBUSY_SYSOP (1u << 2)
#define SERCOM_INTFLAG_DRE (1u << 0)
#define SERCOM_INTFLAG_RXC (1u << 2)
#define SERCOM_I2C_INTFLAG_MB (1u << 0)
#define SERCOM_I2C_INTFLAG_SB (1u << 1)
#define SERCOM_I2C_INTFLAG_ERROR (1u << 7)
#define SERCOM_I2C_STATUS_BUSERR (1u << 0)
#define SERCOM_I2C_STATUS_ARBLOST (1u << 1)
#define SERCOM_I2C_STATUS_RXNACK (1u << 2)
#define SERCOM_I2C_STATUS_IDLE (1u << 4)
#define SERCOM_I2C_STATUS_BUSSTATE (3u << 4)
#define SERCOM_I2C_CTRLB_CMD(n) ((uint32_t)(n) << 16)
#define SERCOM_I2C_CTRLB_NACK (1u << 18)

/* ---- analog-to-digital converter ---- */

struct adc {
	volatile uint8_t CTRLA, REFCTRL, AVGCTRL, SAMPCTRL;
	volatile uint16_t CTRLB, reserved_06;
	volatile uint8_t WINCTRL, reserved_09[3], SWTRIG, reserved_0d[3];
	volatile uint32_t INPUTCTRL;
	volatile uint8_t EVCTRL, reserved_15, INTENCLR, INTENSET, INTFLAG, STATUS;
	volatile uint16_t RESULT;
	volatile uint32_t reserved_1c[3];
	volatile uint16_t CALIB;
};
#define ADC ((struct adc *)0x42004000u)
#define ADC_CTRLA_SWRST (1u << 0)
#define ADC_CTRLA_ENABLE (1u << 1)
#define ADC_SWTRIG_START (1u << 1)
#define ADC_INTFLAG_RESRDY (1u << 0)
#define ADC_STATUS_SYNCBUSY (1u << 7)

/* ---- processor ---- */

#define SYSTICK_CSR (*(volatile uint32_t *)0xE000E010u)
#define SYSTICK_RVR (*(volatile uint32_t *)0xE000E014u)
#define SYSTICK_CVR (*(volatile uint32_t *)0xE000E018u)
#define SCB_VTOR (*(volatile uint32_t *)0xE000ED08u)
#define SCB_AIRCR (*(volatile uint32_t *)0xE000ED0Cu)
#define SCB_AIRCR_RESET 0x05FA0004u

static inline void
cpu_interrupts_off(void)
{
	__asm__ volatile("cpsid i" ::: "memory");
}

static inline void
cpu_interrupts_on(void)
{
	__asm__ volatile("cpsie i" ::: "memory");
}

static inline void
cpu_sleep(void)
{
	__asm__ volatile("dsb\n\twfi" ::: "memory");
}

#endif
