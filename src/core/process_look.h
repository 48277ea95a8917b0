/* SPDX-License-Identifier: MIT */
/* What the system tells of processes and of its boot: one implementation per kind of system. */
#ifndef DUOSHM_CORE_PROCESS_LOOK_H
#define DUOSHM_CORE_PROCESS_LOOK_H

#include <stdbool.h>
#include <stdint.h>

struct duoshm__process_look {
	uint64_t start; /* 0: the system does not tell */
	bool finished;  /* a zombie: it runs no more, only its exit status remains */
};
/* false: nothing is told of this pid, whether it exists or not. */
bool duoshm__process_look(int64_t pid, struct duoshm__process_look *out);

/*
 * Identifies this boot of the machine; 0: the system does not tell. Never derived from a clock, for a clock that is
 * set would turn the living into remains of an earlier boot.
 */
uint64_t duoshm__boot(void);

#endif
