/* SPDX-License-Identifier: MIT */
/* An object made through a backend's record alone, for the tests of the backends. */
#ifndef DUOSHM_TESTS_BACKEND_OBJECT_H
#define DUOSHM_TESTS_BACKEND_OBJECT_H

#include "core/context.h"

struct object {
	struct duoshm__native native;
	struct duoshm__map map;
	struct duoshm__bells *bells; /* NULL: none */
	unsigned n_bells;
	uint64_t generation;
};

/* The record of the family under test. */
const struct duoshm__backend *the_backend(void);
bool is_sysv(void);
/* What the name of `stem` is made from: an entry file and a random generation. */
struct duoshm__naming naming_of(const char *stem);
/* Tries the names as core does; the case fails, for good, where it cannot be made. Mode 0600. */
struct object make_object(const char *stem, size_t size, unsigned n_bells);
struct object make_object_mode(const char *stem, size_t size, unsigned n_bells, unsigned mode);
/* Removes what is still there, closes and detaches. */
void end_object(struct object *object);

#endif
