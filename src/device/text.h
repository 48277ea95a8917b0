/* SPDX-License-Identifier: MIT */
/* Copying text into fixed fields, where cutting it off is meant. */
#ifndef DUOSHM_DEVICE_TEXT_H
#define DUOSHM_DEVICE_TEXT_H

#include <string.h>

static inline void duoshm__copy(char *to, size_t size, const char *from)
{
	size_t length = strlen(from);

	if (length >= size)
		length = size - 1;
	memcpy(to, from, length);
	to[length] = '\0';
}

#endif
