/* SPDX-License-Identifier: MIT */
/* Public names: syntax, and the family in front of them. */
#ifndef DUOSHM_CORE_NAME_H
#define DUOSHM_CORE_NAME_H

#include "duoshm.h"

struct duoshm__name {
	char backend[8]; /* "" when the name has no family in front */
	char text[DUOSHM_NAME_SIZE];
};
/* NAME with a cause that shows what is wrong with it (control characters are shown escaped). */
int duoshm__name_parse(const char *name, struct duoshm__name *out);

#endif
