/* SPDX-License-Identifier: MIT */
/*
 * What can be said to a device, from its prompt, a script or a client: one table, one meaning. A register that is set takes
 * effect here.
 */
#include "config.h"

#include "device/server_state.h"

#include "core/failure.h"
#include "device/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdarg.h>
#include <string.h>

#define BLANKS " \t\r\n"

/* An answer that grows; what does not fit is cut off. */
struct answer {
	char *text;
	size_t used;
};

static void say(struct answer *answer, const char *format, ...) DUOSHM__PRINTF(2, 3);
static void say(struct answer *answer, const char *format, ...)
{
	size_t room = DUOSHM_REPLY_SIZE - answer->used;
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vsnprintf(answer->text + answer->used, room, format, arguments);
	va_end(arguments);
	if (n > 0)
		answer->used += (size_t)n < room ? (size_t)n : room - 1;
}

static void say_register(
	struct duoshm__server *s, struct answer *answer, const char *before, unsigned index)
{
	char text[96];

	duoshm__value_text(
		&s->registers.about[index], &s->registers.value[index], text, sizeof text);
	say(answer, "%s%s%s %s", answer->used ? "\n" : "", before, s->registers.about[index].name,
		text);
}

/* ---- set ---- */

static void reseed(struct duoshm__server *s, uint64_t seed)
{
	uint64_t change = seed - s->setup.seed;

	s->setup.seed = seed;
	for (unsigned i = 0; i < s->format.channels; i++)
		s->channel[i].signal.seed += change;
}

static void apply(struct duoshm__server *s, unsigned index, const struct duoshm_value *value)
{
	const struct duoshm__binding *binding = &s->binding[index];

	switch (binding->role) {
	case DUOSHM__ROLE_PERIOD:
		duoshm__server_pin(s);
		binding->channel->signal.period_s = value->real;
		break;
	case DUOSHM__ROLE_AMPLITUDE: binding->channel->signal.amplitude = value->real; break;
	case DUOSHM__ROLE_OFFSET: binding->channel->signal.offset = value->real; break;
	case DUOSHM__ROLE_RATE: duoshm__server_rate(s, value->real); break;
	case DUOSHM__ROLE_RUN:
		if (value->integer)
			duoshm__server_start(s);
		else
			s->running = 0;
		break;
	case DUOSHM__ROLE_SEED: reseed(s, (uint64_t)value->integer); break;
	default: break;
	}
	duoshm__registers_value(&s->registers, index, value, s->now + s->wall_offset);
}

/* "REG=VALUE"; all behind the = is the value. */
static int do_set(struct duoshm__server *s, char *words, struct answer *answer)
{
	char *equals = strchr(words, '=');
	struct duoshm_value value;
	int index, err;

	if (!equals)
		return duoshm__invalid("set needs REG=VALUE");
	*equals++ = '\0';
	words[strcspn(words, " \t")] = '\0';
	equals += strspn(equals, " \t");
	index = duoshm__registers_find(&s->registers, words);
	if (index < 0)
		return index;
	if (!s->registers.about[index].writable)
		return duoshm__fail(
			DUOSHM_ERR_READ_ONLY, "%s: is read-only", s->registers.about[index].name);
	err = duoshm__value_parse(&s->registers.about[index], equals, &value);
	if (err)
		return err;
	say_register(s, answer, "Old : ", (unsigned)index);
	apply(s, (unsigned)index, &value);
	say_register(s, answer, "New : ", (unsigned)index);
	return 0;
}

/* ---- the others ---- */

static int do_get(struct duoshm__server *s, char *words, struct answer *answer)
{
	char *rest = NULL;
	char *word = strtok_r(words, " \t", &rest);

	if (!word)
		return duoshm__invalid("get needs the name of a register");
	for (; word; word = strtok_r(NULL, " \t", &rest)) {
		int index = duoshm__registers_find(&s->registers, word);

		if (index < 0)
			return index;
		say_register(s, answer, "", (unsigned)index);
	}
	return 0;
}

static const char *state_of(const struct duoshm__server *s)
{
	if (s->running)
		return "running";
	if (s->ended)
		return "at the end of the replay";
	return s->waiting ? "waiting for a capture" : "stopped";
}

static int do_start(struct duoshm__server *s, char *words, struct answer *answer)
{
	(void)words;
	duoshm__server_start(s);
	say(answer, "%s", state_of(s));
	return 0;
}

static int do_stop(struct duoshm__server *s, char *words, struct answer *answer)
{
	(void)words;
	s->running = 0;
	say(answer, "%s", state_of(s));
	return 0;
}

static int do_status(struct duoshm__server *s, char *words, struct answer *answer)
{
	(void)words;
	say(answer, "%s: %s, frame %" PRIu64, s->full_name, state_of(s), s->frame);
	if (s->format.total_frames)
		say(answer, " of %" PRIu64, s->format.total_frames);
	say(answer, ", %u clients, %" PRIu64 " commands, %" PRIu64 " frames late",
		duoshm__lanes_served(&s->lanes), s->commands, s->late);
	for (unsigned i = 0; i < s->format.channels; i++)
		say_register(s, answer, "", s->channel[i].reg);
	return 0;
}

/* Shows the configuration; "config WAVE" changes the first signal. */
static int do_config(struct duoshm__server *s, char *words, struct answer *answer)
{
	char text[DUOSHM__WAVE_SIZE];

	if (*words && s->replay)
		return duoshm__invalid("a replay has no wave");
	if (*words) {
		int err;

		duoshm__server_pin(s);
		err = duoshm__signal_parse(&s->channel[0].signal, words, s->format.unit);
		if (err)
			return err;
	}
	if (s->replay)
		say(answer, "replay %.200s", s->setup.replay);
	for (unsigned i = 0; !s->replay && i < s->format.channels; i++) {
		const struct duoshm_register *about = &s->registers.about[s->channel[i].reg];

		duoshm__signal_text(&s->channel[i].signal, about->unit, text, sizeof text);
		say(answer, "%s%s %s", i ? "\n" : "", about->name, text);
	}
	say(answer, "\nbits %u, rate %g Hz, seed %" PRIu64, s->format.bits, s->format.rate_hz,
		s->setup.seed);
	return 0;
}

static int do_exit(struct duoshm__server *s, char *words, struct answer *answer)
{
	(void)words;
	s->over = 1;
	say(answer, "bye");
	return 0;
}

static int do_help(struct duoshm__server *s, char *words, struct answer *answer);

static const struct {
	const char *name, *help;
	int (*act)(struct duoshm__server *s, char *words, struct answer *answer);
} commands[] = {
	{"start", "make samples; a replay that is over begins again", do_start},
	{"stop", "make no more samples", do_stop},
	{"config", "[WAVE]: show the configuration, change the signal", do_config},
	{"set", "REG=VALUE", do_set},
	{"get", "REG...", do_get},
	{"status", "what it is doing", do_status},
	{"help", "this list", do_help},
	{"exit", "end the device", do_exit},
};
#define N_COMMANDS (DUOSHM__COUNT(commands))

static int do_help(struct duoshm__server *s, char *words, struct answer *answer)
{
	(void)s;
	(void)words;
	for (size_t i = 0; i < N_COMMANDS; i++)
		say(answer, "%s%-7s %s", i ? "\n" : "", commands[i].name, commands[i].help);
	return 0;
}

int duoshm__server_command(
	struct duoshm__server *s, const char *line, char reply[DUOSHM_REPLY_SIZE])
{
	struct answer answer = {.text = reply};
	char words[DUOSHM_REPLY_SIZE];
	char *name, *rest;
	size_t i = 0;
	int err;

	reply[0] = '\0';
	DUOSHM__SET(words, line);
	name = duoshm__trim(words, BLANKS);
	rest = name + strcspn(name, BLANKS);
	if (*rest)
		*rest++ = '\0';
	rest += strspn(rest, BLANKS);
	while (i < N_COMMANDS && strcmp(name, commands[i].name) != 0)
		i++;
	if (i < N_COMMANDS)
		err = commands[i].act(s, rest, &answer);
	else
		err = duoshm__invalid("unknown command \"%.64s\"; help lists them", name);
	if (err)
		duoshm__copy(reply, DUOSHM_REPLY_SIZE, duoshm_failure()->cause);
	return err;
}
