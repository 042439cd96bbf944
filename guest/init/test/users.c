#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "program/users.h"
#include "system/sys.h"

static const char passwd[] = "# comment\n"
			     "root:x:0:0:root:/root:/bin/sh\n"
			     "broken line\n"
			     "bad:x:abc:1:::\n"
			     "wrong:x:4294967295:1:::\n"
			     "web:x:1000:1001:Web,,,:/srv/web:/bin/sh\n"
			     "short:x:7:8\n"
			     "last:x:9:10::/l:/bin/sh";
static const char group[] = "root:x:0:\n"
			    "web:x:1001:\n"
			    "\n"
			    "extra:x:2000:other,web\n"
			    "webby:x:2001:webmaster,wb\n"
			    "more:x:2002:web,last\n"
			    "nolist:x:2003\n"
			    "end:x:2004:last";

static struct identity known(const char *spec)
{
	struct identity who;

	CHECK(resolve_user(spec, passwd, group, &who));
	return who;
}

static void unknown(const char *spec)
{
	struct identity who;

	CHECK(!resolve_user(spec, passwd, group, &who));
}

static void accounts_that_are_a_pipe_are_empty(void)
{
	char dir[] = "/tmp/windhover-users-XXXXXX", path[64], *text;

	CHECK(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/passwd", dir);
	CHECK(mkfifo(path, 0644) == 0);
	alarm(20); /* to open it could take for ever */
	text = read_text(path, 1024);
	alarm(0);
	CHECK(text && text[0] == '\0');
	free(text);
	CHECK(unlink(path) == 0 && rmdir(dir) == 0);
}

void test_users(void)
{
	struct identity who = known("");

	accounts_that_are_a_pipe_are_empty();
	CHECK(who.uid == 0 && who.gid == 0 && strcmp(who.home, "/root") == 0);
	who = known("web");
	CHECK(who.uid == 1000 && who.gid == 1001 && strcmp(who.home, "/srv/web") == 0);
	CHECK(who.group_count == 2 && who.groups[0] == 2000 && who.groups[1] == 2002);
	who = known("1000"); /* a number with an entry is that user, groups and all */
	CHECK(who.gid == 1001 && who.group_count == 2 && strcmp(who.home, "/srv/web") == 0);
	who = known("4242");
	CHECK(who.uid == 4242 && who.gid == 0 && who.group_count == 0 && strcmp(who.home, "/") == 0);
	who = known("web:extra");
	CHECK(who.uid == 1000 && who.gid == 2000 && who.group_count == 0);
	who = known("web:77");
	CHECK(who.gid == 77);
	who = known("12:34");
	CHECK(who.uid == 12 && who.gid == 34);
	who = known("short");
	CHECK(who.uid == 7 && who.gid == 8 && strcmp(who.home, "/") == 0);
	who = known("last");
	CHECK(who.uid == 9 && who.group_count == 2 && who.groups[1] == 2004);
	who = known(":extra");
	CHECK(who.uid == 0 && who.gid == 2000);
	unknown("nobody");
	unknown("web:nogroup");
	unknown("bad");
	unknown("wrong");
	unknown("4294967295");
	unknown("99999999999999999999");
	unknown("-1");
	CHECK(resolve_user("5", "", "", &who) && who.uid == 5);
	CHECK(!resolve_user("web", "", "", &who));

	for (int round = 0; round < 20000; round++) {
		char noise[200], spec[12] = { 0 }, *exact;
		size_t n = dice() % sizeof noise;

		for (size_t i = 0; i < n; i++)
			noise[i] = "root:x:0,1\nweb9"[dice() % 15];
		for (size_t i = 0; i < dice() % sizeof spec; i++)
			spec[i] = "web:019"[dice() % 7];
		exact = malloc(n + 1);
		memcpy(exact, noise, n);
		exact[n] = '\0';
		resolve_user(spec, exact, exact, &who);
		CHECK(who.group_count <= GROUPS_MAX);
		free(exact);
	}
}
