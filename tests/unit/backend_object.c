/* SPDX-License-Identifier: MIT */
/* An object made through a backend's record alone, for the tests of the backends. */
#include "config.h"

#include "unit/backend_object.h"

#include "core/random.h"
#include "harness/harness.h"

const struct duoshm__backend *the_backend(void)
{
	return duoshm__backend_find(harness_backend());
}

bool is_sysv(void)
{
	return strcmp(harness_backend(), "sysv") == 0;
}

struct duoshm__naming naming_of(const char *stem)
{
	struct duoshm__naming naming = {
		.name = harness_name(stem), .entry_path = harness_path(stem)};
	FILE *file = fopen(naming.entry_path, "w");

	CHECK_FATAL(file != NULL);
	fclose(file);
	OK(duoshm__random(64, &naming.generation));
	return naming;
}

struct object make_object_mode(const char *stem, size_t size, unsigned n_bells, unsigned mode)
{
	const struct duoshm__backend *backend = the_backend();
	struct duoshm__naming naming = naming_of(stem);
	struct object object = {.n_bells = n_bells, .generation = naming.generation};
	struct duoshm_failure why = {0};
	unsigned attempt = 0;
	int result;

	do {
		OK(backend->derive(&naming, attempt++, &object.native, &why));
		result = backend->create(&object.native, size, mode, &object.map, &why);
	} while (result == DUOSHM_ERR_EXISTS);
	if (result == 0 && n_bells > 0)
		result = backend->bells_create(&object.native, n_bells, mode, &object.bells, &why);
	if (result < 0)
		fprintf(stderr, "%s: %s: %s\n", stem, why.call, why.cause);
	if (result < 0 && object.map.address != NULL) {
		backend->remove(&object.native, 0, &(struct duoshm_failure){0});
		backend->detach(&object.map, &(struct duoshm_failure){0});
	}
	OK(result);
	return object;
}

struct object make_object(const char *stem, size_t size, unsigned n_bells)
{
	return make_object_mode(stem, size, n_bells, 0600);
}

void end_object(struct object *object)
{
	const struct duoshm__backend *backend = the_backend();
	struct duoshm_failure why;

	EXPECT(backend->remove(&object->native, object->n_bells, &why), 0);
	if (object->bells != NULL)
		backend->bells_close(object->bells);
	EXPECT(backend->detach(&object->map, &why), 0);
}
