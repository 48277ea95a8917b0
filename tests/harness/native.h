/* SPDX-License-Identifier: MIT */
/*
 * The system's calls as the library makes them, in the hands of a test: counted, failed at the nth,
 * and with a wall clock that jumps. A program that lists native.c among its sources has these calls
 * for its own, since the library is linked into it: no privilege, no preloading. Between on and off
 * every call of the program counts; by one thread.
 */
#ifndef DUOSHM_TESTS_NATIVE_H
#define DUOSHM_TESTS_NATIVE_H

#include <stdbool.h>
#include <stdint.h>

/* False: this system's C library has other names for some of them, and nothing is seen. */
bool native_works(void);

/* From here on calls are counted anew. The nth call of that name will fail; NULL: none. */
void native_begin(const char *name, unsigned nth, int error);
void native_on(void);
void native_off(void);
unsigned native_count(const char *name);
/* Did the one that was to fail fail? */
bool native_failed(void);

/* What was taken since the program began, and not given back. */
struct native_held {
	int descriptors, mappings, semaphores; /* of this process */
	int inheritable; /* descriptors that a program started meanwhile would have got */
	int objects;     /* kernel objects that were made, and that still have a name */
};
struct native_held native_held(void);

/* Added to what the real-time clock tells. */
extern int64_t native_wall_shift_ns;

#endif
