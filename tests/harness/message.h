/* SPDX-License-Identifier: MIT */
/* Messages that tell by themselves whether they are whole. */
#ifndef DUOSHM_TESTS_MESSAGE_H
#define DUOSHM_TESTS_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct message {
	uint64_t number, life, sum; /* life: whoever made it */
	unsigned char body[600];
};
/* Its length follows from the number: at most `longest`. */
size_t message_make(struct message *m, uint64_t number, uint64_t life, size_t longest);
bool message_whole(const struct message *m, ssize_t length);

#endif
