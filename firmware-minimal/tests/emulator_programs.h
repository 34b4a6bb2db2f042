/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Small Thumb programs for the tests of the machine, as the assembler made
 * them (offsets of branches and literals are from the start of the program,
 * which is word aligned).
 */
#ifndef TESTS_EMULATOR_PROGRAMS_H
#define TESTS_EMULATOR_PROGRAMS_H

#include <stdint.h>

/* It does nothing for ever. */
static const uint16_t p_endless[] = {
	0xE7FE, /* b.n 0 */
};
/* SysTick each 1000 cycles; counts up r4 by WFI, five times, then endless. */
static const uint16_t p_ticks[] = {
	0x4806, /* ldr r0, [pc, #24] */
	0x4907, /* ldr r1, [pc, #28] */
	0x6041, /* str r1, [r0, #4] */
	0x2100, /* movs r1, #0 */
	0x6081, /* str r1, [r0, #8] */
	0x2107, /* movs r1, #7 */
	0x6001, /* str r1, [r0, #0] */
	0x2405, /* movs r4, #5 */
	0xBF30, /* wfi */
	0x3C01, /* subs r4, #1 */
	0xD1FC, /* bne.n 10 */
	0x4803, /* ldr r0, [pc, #12] */
	0x6004, /* str r4, [r0, #0] */
	0xE7FE, /* b.n 1a */
	0xE010, 0xE000, /* .word 0xe000e010 */
	0x03E7, 0x0000, /* .word 0x000003e7 */
	0x0010, 0x2000, /* .word 0x20000010 */
};
/* The SysTick handler of these tests: one more in the word at 0x20000000. */
static const uint16_t p_handler[] = {
	0xB510, /* push {r4, lr} */
	0x4804, /* ldr r0, [pc, #16] */
	0x6801, /* ldr r1, [r0, #0] */
	0x3101, /* adds r1, #1 */
	0x6001, /* str r1, [r0, #0] */
	0xF3EF, 0x8205, /* mrs r2, IPSR */
	0x6042, /* str r2, [r0, #4] */
	0xBD10, /* pop {r4, pc} */
	0x0000, /* .short 0x0000 */
	0x0000, 0x2000, /* .word 0x20000000 */
};
/* WFI with PRIMASK set goes on, the handler runs only after CPSIE. */
static const uint16_t p_masked[] = {
	0x4D0B, /* ldr r5, [pc, #44] */
	0x2100, /* movs r1, #0 */
	0x6029, /* str r1, [r5, #0] */
	0x480B, /* ldr r0, [pc, #44] */
	0x490B, /* ldr r1, [pc, #44] */
	0x6041, /* str r1, [r0, #4] */
	0x6081, /* str r1, [r0, #8] */
	0x2107, /* movs r1, #7 */
	0x6001, /* str r1, [r0, #0] */
	0xB672, /* cpsid i */
	0xBF30, /* wfi */
	0x682A, /* ldr r2, [r5, #0] */
	0x60AA, /* str r2, [r5, #8] */
	0xF3EF, 0x8210, /* mrs r2, PRIMASK */
	0x612A, /* str r2, [r5, #16] */
	0xB662, /* cpsie i */
	0x46C0, /* nop */
	0x682A, /* ldr r2, [r5, #0] */
	0x60EA, /* str r2, [r5, #12] */
	0x2100, /* movs r1, #0 */
	0x6001, /* str r1, [r0, #0] */
	0xE7FE, /* b.n 2c */
	0x0000, /* .short 0x0000 */
	0x0000, 0x2000, /* .word 0x20000000 */
	0xE010, 0xE000, /* .word 0xe000e010 */
	0x03E7, 0x0000, /* .word 0x000003e7 */
};
/* The interrupted loop keeps its registers and flags. */
static const uint16_t p_keeps[] = {
	0x4D0A, /* ldr r5, [pc, #40] */
	0x2100, /* movs r1, #0 */
	0x6029, /* str r1, [r5, #0] */
	0x480A, /* ldr r0, [pc, #40] */
	0x2163, /* movs r1, #99 */
	0x6041, /* str r1, [r0, #4] */
	0x6081, /* str r1, [r0, #8] */
	0x2107, /* movs r1, #7 */
	0x6001, /* str r1, [r0, #0] */
	0x4C08, /* ldr r4, [pc, #32] */
	0x2600, /* movs r6, #0 */
	0x2700, /* movs r7, #0 */
	0x3601, /* adds r6, #1 */
	0x3703, /* adds r7, #3 */
	0x3C01, /* subs r4, #1 */
	0xD1FB, /* bne.n 18 */
	0x2100, /* movs r1, #0 */
	0x6001, /* str r1, [r0, #0] */
	0x60AE, /* str r6, [r5, #8] */
	0x60EF, /* str r7, [r5, #12] */
	0xE7FE, /* b.n 28 */
	0x0000, /* .short 0x0000 */
	0x0000, 0x2000, /* .word 0x20000000 */
	0xE010, 0xE000, /* .word 0xe000e010 */
	0x4E20, 0x0000, /* .word 0x00004e20 */
};
static const uint16_t p_unaligned[] = {
	0x4801, /* ldr r0, [pc, #4] */
	0x6801, /* ldr r1, [r0, #0] */
	0xE7FE, /* b.n 4 */
	0x0000, /* .short 0x0000 */
	0x0001, 0x2000, /* .word 0x20000001 */
};
static const uint16_t p_null[] = {
	0x2000, /* movs r0, #0 */
	0x6901, /* ldr r1, [r0, #16] */
	0xE7FE, /* b.n 4 */
};
static const uint16_t p_hole[] = {
	0x4801, /* ldr r0, [pc, #4] */
	0x6801, /* ldr r1, [r0, #0] */
	0xE7FE, /* b.n 4 */
	0x0000, /* .short 0x0000 */
	0x0000, 0x5000, /* .word 0x50000000 */
};
/* PAC0 is not for this firmware. */
static const uint16_t p_no_register[] = {
	0x4801, /* ldr r0, [pc, #4] */
	0x6801, /* ldr r1, [r0, #0] */
	0xE7FE, /* b.n 4 */
	0x0000, /* .short 0x0000 */
	0x0000, 0x4000, /* .word 0x40000000 */
};
static const uint16_t p_width[] = {
	0x4801, /* ldr r0, [pc, #4] */
	0x2102, /* movs r1, #2 */
	0x7001, /* strb r1, [r0, #0] */
	0xE7FE, /* b.n 6 */
	0x4004, 0x4100, /* .word 0x41004004 */
};
static const uint16_t p_udf[] = {
	0xDE00, /* udf #0 */
};
static const uint16_t p_svc[] = {
	0xDF03, /* svc 3 */
};
static const uint16_t p_bkpt[] = {
	0xBE00, /* bkpt 0x0000 */
};
/* To RAM. */
static const uint16_t p_jump[] = {
	0x4800, /* ldr r0, [pc, #0] */
	0x4700, /* bx r0 */
	0x0101, 0x2000, /* .word 0x20000101 */
};
/* To where nothing is. */
static const uint16_t p_far[] = {
	0x4800, /* ldr r0, [pc, #0] */
	0x4700, /* bx r0 */
	0x0001, 0x7000, /* .word 0x70000001 */
};
/* Pushes for ever. */
static const uint16_t p_recursion[] = {
	0xB4FF, /* push {r0, r1, r2, r3, r4, r5, r6, r7} */
	0xE7FD, /* b.n 0 */
};
/* Reads the loader's cell. */
static const uint16_t p_cell[] = {
	0x4801, /* ldr r0, [pc, #4] */
	0x6801, /* ldr r1, [r0, #0] */
	0xE7FE, /* b.n 4 */
	0x0000, /* .short 0x0000 */
	0x7FFC, 0x2000, /* .word 0x20007ffc */
};
/* Method B of samd21 1.5. */
static const uint16_t p_double_tap[] = {
	0x4805, /* ldr r0, [pc, #20] */
	0x4906, /* ldr r1, [pc, #24] */
	0x6001, /* str r1, [r0, #0] */
	0xF3BF, 0x8F4F, /* dsb sy */
	0x4805, /* ldr r0, [pc, #20] */
	0x4905, /* ldr r1, [pc, #20] */
	0x6001, /* str r1, [r0, #0] */
	0xF3BF, 0x8F4F, /* dsb sy */
	0xE7FE, /* b.n 14 */
	0x0000, /* .short 0x0000 */
	0x7FFC, 0x2000, /* .word 0x20007ffc */
	0x8135, 0x0773, /* .word 0x07738135 */
	0xED0C, 0xE000, /* .word 0xe000ed0c */
	0x0004, 0x05FA, /* .word 0x05fa0004 */
};
/* Resets itself once: RCAUSE tells. */
static const uint16_t p_reset[] = {
	0x4806, /* ldr r0, [pc, #24] */
	0x7801, /* ldrb r1, [r0, #0] */
	0x2901, /* cmp r1, #1 */
	0xD106, /* bne.n 16 */
	0x4805, /* ldr r0, [pc, #20] */
	0x4906, /* ldr r1, [pc, #24] */
	0x6001, /* str r1, [r0, #0] */
	0x4806, /* ldr r0, [pc, #24] */
	0x4906, /* ldr r1, [pc, #24] */
	0x6001, /* str r1, [r0, #0] */
	0xE7FE, /* b.n 14 */
	0x4806, /* ldr r0, [pc, #24] */
	0x6001, /* str r1, [r0, #0] */
	0xE7FE, /* b.n 1a */
	0x0438, 0x4000, /* .word 0x40000438 */
	0x0020, 0x2000, /* .word 0x20000020 */
	0x5678, 0x1234, /* .word 0x12345678 */
	0xED0C, 0xE000, /* .word 0xe000ed0c */
	0x0004, 0x05FA, /* .word 0x05fa0004 */
	0x0024, 0x2000, /* .word 0x20000024 */
};
/* Starts it with 8 clocks of 32768 Hz and never clears it. */
static const uint16_t p_watchdog[] = {
	0x4805, /* ldr r0, [pc, #20] */
	0x4906, /* ldr r1, [pc, #24] */
	0x8041, /* strh r1, [r0, #2] */
	0x7841, /* ldrb r1, [r0, #1] */
	0x2900, /* cmp r1, #0 */
	0xD1FC, /* bne.n 6 */
	0x4804, /* ldr r0, [pc, #16] */
	0x2100, /* movs r1, #0 */
	0x7041, /* strb r1, [r0, #1] */
	0x2102, /* movs r1, #2 */
	0x7001, /* strb r1, [r0, #0] */
	0xE7FE, /* b.n 16 */
	0x0C00, 0x4000, /* .word 0x40000c00 */
	0x4203, 0x0000, /* .word 0x00004203 */
	0x1000, 0x4000, /* .word 0x40001000 */
};
/* 48 MHz without a wait state. */
static const uint16_t p_fast_flash[] = {
	0x4804, /* ldr r0, [pc, #16] */
	0x2102, /* movs r1, #2 */
	0x8481, /* strh r1, [r0, #36] */
	0x68C1, /* ldr r1, [r0, #12] */
	0x06C9, /* lsls r1, r1, #27 */
	0xD5FC, /* bpl.n 6 */
	0x4802, /* ldr r0, [pc, #8] */
	0x4903, /* ldr r1, [pc, #12] */
	0x6041, /* str r1, [r0, #4] */
	0xE7FE, /* b.n 12 */
	0x0800, 0x4000, /* .word 0x40000800 */
	0x0C00, 0x4000, /* .word 0x40000c00 */
	0x0700, 0x0003, /* .word 0x00030700 */
};
/* Without MANW. */
static const uint16_t p_flash_store[] = {
	0x4801, /* ldr r0, [pc, #4] */
	0x2100, /* movs r1, #0 */
	0x6001, /* str r1, [r0, #0] */
	0xE7FE, /* b.n 6 */
	0x0000, 0x0003, /* .word 0x00030000 */
};
/* Erases a row, writes a page, reads it back. */
static const uint16_t p_flash[] = {
	0x480B, /* ldr r0, [pc, #44] */
	0x2182, /* movs r1, #130 */
	0x6041, /* str r1, [r0, #4] */
	0x4A0B, /* ldr r2, [pc, #44] */
	0x0851, /* lsrs r1, r2, #1 */
	0x61C1, /* str r1, [r0, #28] */
	0x490A, /* ldr r1, [pc, #40] */
	0x8001, /* strh r1, [r0, #0] */
	0x490A, /* ldr r1, [pc, #40] */
	0x8001, /* strh r1, [r0, #0] */
	0x4B0A, /* ldr r3, [pc, #40] */
	0x2410, /* movs r4, #16 */
	0x6013, /* str r3, [r2, #0] */
	0x3204, /* adds r2, #4 */
	0x3C01, /* subs r4, #1 */
	0xD1FB, /* bne.n 18 */
	0x4908, /* ldr r1, [pc, #32] */
	0x8001, /* strh r1, [r0, #0] */
	0x4A03, /* ldr r2, [pc, #12] */
	0x6BD1, /* ldr r1, [r2, #60] */
	0x4807, /* ldr r0, [pc, #28] */
	0x6001, /* str r1, [r0, #0] */
	0xE7FE, /* b.n 2c */
	0x0000, /* .short 0x0000 */
	0x4000, 0x4100, /* .word 0x41004000 */
	0xF000, 0x0003, /* .word 0x0003f000 */
	0xA502, 0x0000, /* .word 0x0000a502 */
	0xA544, 0x0000, /* .word 0x0000a544 */
	0xF00D, 0xCAFE, /* .word 0xcafef00d */
	0xA504, 0x0000, /* .word 0x0000a504 */
	0x0000, 0x2000, /* .word 0x20000000 */
};
/* A loop of 3 cycles per pass, 1000 times, 8 MHz or less: no wait states. */
static const uint16_t p_cycles[] = {
	0x4803, /* ldr r0, [pc, #12] */
	0x3801, /* subs r0, #1 */
	0xD1FD, /* bne.n 2 */
	0x4803, /* ldr r0, [pc, #12] */
	0x2101, /* movs r1, #1 */
	0x6001, /* str r1, [r0, #0] */
	0xE7FE, /* b.n c */
	0x0000, /* .short 0x0000 */
	0x03E8, 0x0000, /* .word 0x000003e8 */
	0x0000, 0x2000, /* .word 0x20000000 */
};
/* EXC_RETURN of thread mode with the process stack. */
static const uint16_t p_bad_return[] = {
	0x4800, /* ldr r0, [pc, #0] */
	0x4700, /* bx r0 */
	0xFFFD, 0xFFFF, /* .word 0xfffffffd */
};
/* Names phase 5, then 7. */
static const uint16_t p_phase[] = {
	0x4804, /* ldr r0, [pc, #16] */
	0x2105, /* movs r1, #5 */
	0x6001, /* str r1, [r0, #0] */
	0x4A04, /* ldr r2, [pc, #16] */
	0x3A01, /* subs r2, #1 */
	0xD1FD, /* bne.n 8 */
	0x2107, /* movs r1, #7 */
	0x6001, /* str r1, [r0, #0] */
	0xE7FE, /* b.n 10 */
	0x0000, /* .short 0x0000 */
	0x0040, 0x2000, /* .word 0x20000040 */
	0x03E8, 0x0000, /* .word 0x000003e8 */
};
/* Says "ok" and a line end on the console again and again, at 62500 baud from the 1 MHz clock. */
static const uint16_t p_speaks[] = {
	0x4814, /* ldr r0, [pc, #80] */
	0x4915, /* ldr r1, [pc, #84] */
	0x6001, /* str r1, [r0, #0] */
	0x4815, /* ldr r0, [pc, #84] */
	0x4915, /* ldr r1, [pc, #84] */
	0x8041, /* strh r1, [r0, #2] */
	0x7841, /* ldrb r1, [r0, #1] */
	0x2900, /* cmp r1, #0 */
	0xD1FC, /* bne.n c */
	0x4814, /* ldr r0, [pc, #80] */
	0x2233, /* movs r2, #51 */
	0x233B, /* movs r3, #59 */
	0x54C2, /* strb r2, [r0, r3] */
	0x2201, /* movs r2, #1 */
	0x2356, /* movs r3, #86 */
	0x54C2, /* strb r2, [r0, r3] */
	0x4811, /* ldr r0, [pc, #68] */
	0x4912, /* ldr r1, [pc, #72] */
	0x6001, /* str r1, [r0, #0] */
	0x4A12, /* ldr r2, [pc, #72] */
	0x6042, /* str r2, [r0, #4] */
	0x69C2, /* ldr r2, [r0, #28] */
	0x2A00, /* cmp r2, #0 */
	0xD1FC, /* bne.n 2a */
	0x3102, /* adds r1, #2 */
	0x6001, /* str r1, [r0, #0] */
	0x69C2, /* ldr r2, [r0, #28] */
	0x2A00, /* cmp r2, #0 */
	0xD1FC, /* bne.n 34 */
	0x2301, /* movs r3, #1 */
	0xA404, /* add r4, pc, #16 */
	0x7822, /* ldrb r2, [r4, #0] */
	0x2A00, /* cmp r2, #0 */
	0xD0FB, /* beq.n 3c */
	0x7E01, /* ldrb r1, [r0, #24] */
	0x4219, /* tst r1, r3 */
	0xD0FC, /* beq.n 44 */
	0x8502, /* strh r2, [r0, #40] */
	0x3401, /* adds r4, #1 */
	0xE7F6, /* b.n 3e */
	0x6B6F, 0x000A, /* .word 0x000a6b6f */
	0x0420, 0x4000, /* .word 0x40000420 */
	0x0080, 0x0001, /* .word 0x00010080 */
	0x0C00, 0x4000, /* .word 0x40000c00 */
	0x4019, 0x0000, /* .word 0x00004019 */
	0x4480, 0x4100, /* .word 0x41004480 */
	0x1C00, 0x4200, /* .word 0x42001c00 */
	0x0004, 0x4031, /* .word 0x40310004 */
	0x0000, 0x0003, /* .word 0x00030000 */
};
/* The stack pointer is moved where none can be: between two words, and out of the RAM. */
static const uint16_t p_odd_stack[] = {
	0x4668, /* mov r0, sp */
	0x3002, /* adds r0, #2 */
	0x4685, /* mov sp, r0 */
	0x46C0, /* nop */
	0xE7FE, /* b.n 8 */
};
static const uint16_t p_far_stack[] = {
	0x4801, /* ldr r0, [pc, #4] */
	0x4685, /* mov sp, r0 */
	0x46C0, /* nop */
	0xE7FE, /* b.n 6 */
	0x0000, 0x3000, /* .word 0x30000000 */
};
/* Standby: SCR.SLEEPDEEP and WFI. */
static const uint16_t p_standby[] = {
	0x4802, /* ldr r0, [pc, #8] */
	0x2104, /* movs r1, #4 */
	0x6001, /* str r1, [r0, #0] */
	0xBF30, /* wfi */
	0xE7FE, /* b.n 8 */
	0x0000, /* .short 0x0000 */
	0xED10, 0xE000, /* .word 0xe000ed10 */
};
static const uint16_t p_process_stack[] = {
	0x4801, /* ldr r0, [pc, #4] */
	0xF380, 0x8809, /* msr PSP, r0 */
	0xE7FE, /* b.n 6 */
	0x4000, 0x2000, /* .word 0x20004000 */
};
/* The HardFault handler of these tests: what it finds, from 0x20000040 on. */
static const uint16_t p_fault_handler[] = {
	0x4668, /* mov r0, sp */
	0x4908, /* ldr r1, [pc, #32] */
	0x6008, /* str r0, [r1, #0] */
	0x6802, /* ldr r2, [r0, #0] */
	0x604A, /* str r2, [r1, #4] */
	0x6942, /* ldr r2, [r0, #20] */
	0x608A, /* str r2, [r1, #8] */
	0x6982, /* ldr r2, [r0, #24] */
	0x60CA, /* str r2, [r1, #12] */
	0x69C2, /* ldr r2, [r0, #28] */
	0x610A, /* str r2, [r1, #16] */
	0xF3EF, 0x8205, /* mrs r2, IPSR */
	0x614A, /* str r2, [r1, #20] */
	0x4672, /* mov r2, lr */
	0x618A, /* str r2, [r1, #24] */
	0xE7FE, /* b.n 20 */
	0x0000, /* .short 0x0000 */
	0x0040, 0x2000, /* .word 0x20000040 */
};
/* The register that is to be loaded holds the address, too. */
static const uint16_t p_unaligned_self[] = {
	0x4801, /* ldr r0, [pc, #4] */
	0x6800, /* ldr r0, [r0, #0] */
	0xE7FE, /* b.n 4 */
	0x0000, /* .short 0x0000 */
	0x0001, 0x2000, /* .word 0x20000001 */
};
/* Between two words, of which one holds something. */
static const uint16_t p_unaligned_store[] = {
	0x4803, /* ldr r0, [pc, #12] */
	0x4904, /* ldr r1, [pc, #16] */
	0x6001, /* str r1, [r0, #0] */
	0x2200, /* movs r2, #0 */
	0x3002, /* adds r0, #2 */
	0x6002, /* str r2, [r0, #0] */
	0xE7FE, /* b.n c */
	0x0000, /* .short 0x0000 */
	0x0100, 0x2000, /* .word 0x20000100 */
	0x3344, 0x1122, /* .word 0x11223344 */
};
/* A HardFault handler that faults. */
static const uint16_t p_fault_in_fault[] = {
	0x4668, /* mov r0, sp */
	0xDE00, /* udf #0 */
};
/* Names phase 16. */
static const uint16_t p_phase_too_many[] = {
	0x4801, /* ldr r0, [pc, #4] */
	0x2110, /* movs r1, #16 */
	0x6001, /* str r1, [r0, #0] */
	0xE7FE, /* b.n 6 */
	0x0040, 0x2000, /* .word 0x20000040 */
};
/* To the boot loader. */
static const uint16_t p_loader[] = {
	0x4800, /* ldr r0, [pc, #0] */
	0x4700, /* bx r0 */
	0x1001, 0x0000, /* .word 0x00001001 */
};
/* An interrupt handler that returns to a process stack. */
static const uint16_t p_handler_returns_badly[] = {
	0x4800, /* ldr r0, [pc, #0] */
	0x4700, /* bx r0 */
	0xFFFD, 0xFFFF, /* .word 0xfffffffd */
};

#endif
