/* SPDX-License-Identifier: MIT */
/* Messages that can be checked; see the header. */
#include "config.h"

#include "harness/message.h"

#define HEAD offsetof(struct message, body)

static uint64_t sum_of(const struct message *m, size_t body)
{
	uint64_t sum = (m->number + (m->life << 40)) * 0x9e3779b97f4a7c15u + 14695981039346656037u;

	for (size_t i = 0; i < body; i++)
		sum = (sum ^ m->body[i]) * 1099511628211u;
	return sum;
}

size_t message_make(struct message *m, uint64_t number, uint64_t life, size_t longest)
{
	size_t body = (size_t)(number * 2654435761u >> 7) % (longest - HEAD + 1);

	m->number = number;
	m->life = life;
	for (size_t i = 0; i < body; i++)
		m->body[i] = (unsigned char)(number + i * 3);
	m->sum = sum_of(m, body);
	return HEAD + body;
}

bool message_whole(const struct message *m, ssize_t length)
{
	return length >= (ssize_t)HEAD && m->sum == sum_of(m, (size_t)length - HEAD);
}
