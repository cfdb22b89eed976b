/* State that a guest holds live in the CPU and that no control block keeps. Layer 4'. */
#ifndef BH_X86_HW_NATIVE_H
#define BH_X86_HW_NATIVE_H

/* FPU, SSE, AVX state and XCR0 as after RESET, on the calling CPU. */
void native_fpu_reset(void);
/* DR0 to DR3 to 0, DR6 as after RESET. DR7 is the backend's. */
void native_debug_reset(void);

#endif
