/* SPDX-License-Identifier: MIT */
/*
 * What can be said to a device, from its prompt, a script or a client: one table, one meaning. A
 * register that is set takes effect here.
 */
#include "config.h"

#include "device/server_state.h"

#include "core/failure.h"
#include "device/text.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdarg.h>
#include <string.h>

#define BLANKS " \t\r\n"

/* A command, and its answer, which grows; what does not fit is cut off. */
struct talk {
	char *words; /* behind the command's name */
	char *text;
	size_t used;
};

static void say(struct talk *talk, const char *format, ...) DUOSHM__PRINTF(2, 3);
static void say(struct talk *talk, const char *format, ...)
{
	size_t room = DUOSHM_REPLY_SIZE - talk->used;
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vsnprintf(talk->text + talk->used, room, format, arguments);
	va_end(arguments);
	if (n > 0)
		talk->used += (size_t)n < room ? (size_t)n : room - 1;
}

static void say_register(
	struct duoshm__server *s, struct talk *talk, const char *before, unsigned index)
{
	char text[96];

	duoshm__value_text(
		&s->registers.about[index], &s->registers.value[index], text, sizeof text);
	say(talk, "%s%s%s %s", talk->used ? "\n" : "", before, s->registers.about[index].name,
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
	case DUOSHM__ROLE_PLAIN: break;
	case DUOSHM__ROLE_SIGNAL:
		duoshm__server_pin(s);
		*(double *)binding->shown = value->real;
		break;
	case DUOSHM__ROLE_RATE: duoshm__server_rate(s, value->real); break;
	case DUOSHM__ROLE_RUN:
		if (value->integer)
			duoshm__server_start(s);
		else
			s->running = 0;
		break;
	case DUOSHM__ROLE_SEED: reseed(s, (uint64_t)value->integer); break;
	}
	duoshm__registers_value(&s->registers, index, value, s->now + s->wall_offset);
}

/* "REG=VALUE"; all behind the = is the value. */
static int do_set(struct duoshm__server *s, struct talk *talk)
{
	char *words = talk->words, *equals = strchr(words, '=');
	const struct duoshm_register *about;
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
	about = &s->registers.about[index];
	if (!about->writable)
		err = duoshm__fail(DUOSHM_ERR_READ_ONLY, "is read-only");
	else
		err = duoshm__value_parse(about, equals, &value);
	if (err)
		return duoshm__blame("%s", about->name);
	say_register(s, talk, "Old : ", (unsigned)index);
	apply(s, (unsigned)index, &value);
	say_register(s, talk, "New : ", (unsigned)index);
	return 0;
}

/* ---- the others ---- */

static int do_get(struct duoshm__server *s, struct talk *talk)
{
	char *rest = NULL;
	char *word = strtok_r(talk->words, " \t", &rest);

	if (!word)
		return duoshm__invalid("get needs the name of a register");
	for (; word; word = strtok_r(NULL, " \t", &rest)) {
		int index = duoshm__registers_find(&s->registers, word);

		if (index < 0)
			return index;
		say_register(s, talk, "", (unsigned)index);
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

static int do_start(struct duoshm__server *s, struct talk *talk)
{
	duoshm__server_start(s);
	say(talk, "%s", state_of(s));
	return 0;
}

static int do_stop(struct duoshm__server *s, struct talk *talk)
{
	s->running = 0;
	say(talk, "%s", state_of(s));
	return 0;
}

static int do_status(struct duoshm__server *s, struct talk *talk)
{
	say(talk, "%s: %s, frame %" PRIu64, s->full_name, state_of(s), s->frame);
	if (s->format.total_frames)
		say(talk, " of %" PRIu64, s->format.total_frames);
	say(talk, ", clients: %u, commands: %" PRIu64 ", frames late: %" PRIu64,
		duoshm__lanes_served(&s->lanes), s->commands, s->late);
	for (unsigned i = 0; i < s->format.channels; i++)
		say_register(s, talk, "", s->channel[i].reg);
	return 0;
}

/* Shows the configuration; "config WAVE" changes the first signal. */
static int do_config(struct duoshm__server *s, struct talk *talk)
{
	char text[DUOSHM__WAVE_SIZE];

	if (*talk->words && s->replay)
		return duoshm__invalid("a replay has no wave");
	if (*talk->words) {
		int err;

		duoshm__server_pin(s);
		err = duoshm__signal_parse(&s->channel[0].signal, talk->words,
			s->registers.about[s->channel[0].reg].unit);
		if (err)
			return err;
	}
	if (s->replay)
		say(talk, "replay %.200s", s->setup.replay);
	for (unsigned i = 0; !s->replay && i < s->format.channels; i++) {
		const struct duoshm_register *about = &s->registers.about[s->channel[i].reg];

		duoshm__signal_text(&s->channel[i].signal, about->unit, text, sizeof text);
		say(talk, "%s%s %s", i ? "\n" : "", about->name, text);
	}
	say(talk, "\nbits %u, rate %g Hz, seed %" PRIu64, s->format.bits, s->format.rate_hz,
		s->setup.seed);
	return 0;
}

static int do_exit(struct duoshm__server *s, struct talk *talk)
{
	s->over = 1;
	say(talk, "bye");
	return 0;
}

static int do_help(struct duoshm__server *s, struct talk *talk);

static const struct {
	const char *name, *help;
	int takes_words;
	int (*act)(struct duoshm__server *s, struct talk *talk);
} commands[] = {
	{"start", "make samples; a replay that is over begins again", 0, do_start},
	{"stop", "make no more samples", 0, do_stop},
	{"config", "[WAVE]: show the configuration, change the signal", 1, do_config},
	{"set", "REG=VALUE", 1, do_set},
	{"get", "REG...", 1, do_get},
	{"status", "what it is doing", 0, do_status},
	{"help", "this list", 0, do_help},
	{"exit", "end the device", 0, do_exit},
};
#define N_COMMANDS (DUOSHM__COUNT(commands))

static int do_help(struct duoshm__server *s, struct talk *talk)
{
	(void)s;
	for (size_t i = 0; i < N_COMMANDS; i++)
		say(talk, "%s%-7s %s", i ? "\n" : "", commands[i].name, commands[i].help);
	return 0;
}

static int act(struct duoshm__server *s, char *name, struct talk *talk)
{
	size_t i = 0;

	for (const char *c = name; *c; c++)
		if (iscntrl((unsigned char)*c) && *c != '\t')
			return duoshm__invalid("a command is one line, without control characters");
	talk->words = name + strcspn(name, BLANKS);
	if (*talk->words)
		*talk->words++ = '\0';
	talk->words += strspn(talk->words, BLANKS);
	while (i < N_COMMANDS && strcmp(name, commands[i].name) != 0)
		i++;
	if (i == N_COMMANDS)
		return duoshm__invalid("unknown command \"%.64s\"; help lists them", name);
	if (*talk->words && !commands[i].takes_words)
		return duoshm__invalid("%s stands alone, without \"%.64s\"", name, talk->words);
	return commands[i].act(s, talk);
}

int duoshm__server_command(
	struct duoshm__server *s, const char *line, char reply[DUOSHM_REPLY_SIZE])
{
	struct talk talk = {.text = reply};
	char words[DUOSHM_REPLY_SIZE];
	int err;

	reply[0] = '\0';
	DUOSHM__SET(words, line);
	err = act(s, duoshm__trim(words, BLANKS), &talk);
	if (err)
		duoshm__copy(reply, DUOSHM_REPLY_SIZE, duoshm_failure()->cause);
	return err;
}
