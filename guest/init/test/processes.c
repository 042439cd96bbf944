#include "check.h"
#include "exec/processes.h"
#include "system/proc.h"

static void a_stat_is_parsed_whatever_the_name_holds(void)
{
	static const char text[] =
		"77 (a) b (c) S 5 77 70 0 -1 4194560 100 0 0 0 11 12 0 0 20 0 1 0 1234 4096000 150 18446744073709551615 1 1 0\n";
	struct process_stat stat;

	CHECK(parse_stat(text, &stat));
	CHECK(strcmp(stat.name, "a) b (c") == 0 && stat.state == 'S' && stat.parent == 5 && stat.session == 70);
	CHECK(stat.flags == 4194560 && stat.user_ticks == 11 && stat.system_ticks == 12);
	CHECK(stat.start_ticks == 1234 && stat.resident_pages == 150);
	for (size_t n = 0; n < strlen(text) - 40; n++) {
		char cut[sizeof text];

		memcpy(cut, text, n);
		cut[n] = '\0';
		parse_stat(cut, &stat);
	}
	CHECK(!parse_stat("", &stat) && !parse_stat(")(", &stat) && !parse_stat("1 (x", &stat) && !parse_stat("1 (x) S 1 2", &stat));
}

static void a_long_name_is_cut(void)
{
	char text[400] = "1 (";
	struct process_stat stat;

	memset(text + 3, 'n', 200);
	strcpy(text + 203, ") R 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21");
	CHECK(parse_stat(text, &stat) && strlen(stat.name) == sizeof stat.name - 1);
}

static void sockets_that_somebody_listens_on_are_found(void)
{
	static const char listening[] = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 12345 1 0 100 0 0 10 0";
	static const char connected[] = "   1: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000  1000        0 12346 1 0 20 4 30 10 -1";
	static const char six[] =
		"   0: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 777 1 0 100 0 0 10 0";
	static const char bound[] = "  10: 00000000:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 888 2 0 0";
	struct listener l;

	CHECK(parse_listener("tcp", listening, &l) && l.inode == 12345 && strcmp(l.address, "tcp 127.0.0.1:8080") == 0);
	CHECK(!parse_listener("tcp", connected, &l));
	CHECK(parse_listener("tcp6", six, &l) && l.inode == 777 && strcmp(l.address, "tcp6 [::1]:80") == 0);
	CHECK(parse_listener("udp", bound, &l) && strcmp(l.address, "udp 0.0.0.0:53") == 0);
	CHECK(!parse_listener("tcp", bound, &l) && !parse_listener("tcp6", listening, &l) && !parse_listener("tcp", six, &l));
	CHECK(!parse_listener("tcp", "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode", &l));
	CHECK(!parse_listener("tcp", "", &l));
	for (size_t n = 0; n < sizeof listening; n++) {
		char *cut = strndup(listening, n);

		parse_listener("tcp", cut, &l);
		free(cut);
	}
}

static void processes_of_the_namespace_below_are_told_from_others(void)
{
	CHECK(parse_inner_pid("Name:\tx\nNSpid:\t120\t7\nNSpgid:\t1\n") == 7);
	CHECK(parse_inner_pid("Name:\tx\nNSpid:\t120\t7\t1\nNSpgid:\t1\n") == 7);
	CHECK(parse_inner_pid("Name:\tx\nNSpid:\t120\nNSpgid:\t120\t5\n") == 0);
	CHECK(parse_inner_pid("Name:\tNSpid:\n") == 0 && parse_inner_pid("") == 0);
}

void test_processes(void)
{
	a_stat_is_parsed_whatever_the_name_holds();
	a_long_name_is_cut();
	sockets_that_somebody_listens_on_are_found();
	processes_of_the_namespace_below_are_told_from_others();
}
