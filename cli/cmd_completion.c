/* SPDX-License-Identifier: MIT */
/*
 * cmd_completion.c - what a shell may offer next
 *
 * DOC: The shells' scripts only ask "culvert completion -- WORD...", with the
 * words so far, for what may take the place of the last.  So there is no list
 * but the tables of commands and options.  The answer has a candidate a line,
 * a tab and a description; @files stands for the names of files.
 */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct shell {
	const char *name, *script;
} shells[] = {
	{ "bash", "_culvert() {\n"
		  "	local line cur=${COMP_WORDS[COMP_CWORD]}\n"
		  "	[[ $cur == = ]] && cur=\n"
		  "	COMPREPLY=()\n"
		  "	while IFS=$'\\t' read -r line _; do\n"
		  "		if [[ $line == @files ]]; then\n"
		  "			compopt -o filenames 2>/dev/null\n"
		  "			mapfile -t -O ${#COMPREPLY[@]} "
		  "COMPREPLY \\\n"
		  "				< <(compgen -f -- \"$cur\")\n"
		  "		else\n"
		  "			COMPREPLY+=(\"$line\")\n"
		  "		fi\n"
		  "	done < <(culvert completion -- \\\n"
		  "		\"${COMP_WORDS[@]:1:COMP_CWORD}\" "
		  "2>/dev/null)\n"
		  "}\n"
		  "complete -F _culvert culvert\n" },
	{ "zsh", "#compdef culvert\n"
		 "_culvert() {\n"
		 "	local line files\n"
		 "	local -a found\n"
		 "	for line in \"${(@f)$(culvert completion -- \\\n"
		 "		\"${(@Q)words[2,CURRENT]}\" 2>/dev/null)}\"; "
		 "do\n"
		 "		if [[ $line == @files ]]; then\n"
		 "			files=1\n"
		 "		elif [[ -n $line ]]; then\n"
		 "			"
		 "found+=(\"${${line//:/\\\\:}/$'\\t'/:}\")\n"
		 "		fi\n"
		 "	done\n"
		 "	(( ! $#found )) || _describe culvert found\n"
		 "	[[ -z $files ]] || { compset -P '--*='; _files; }\n"
		 "}\n"
		 "if [[ $funcstack[1] == _culvert ]]; then\n"
		 "	_culvert \"$@\"\n"
		 "else\n"
		 "	compdef _culvert culvert\n"
		 "fi\n" },
	{ "fish", "function __culvert\n"
		  "	set -l cur (commandline -ct)\n"
		  "	set -l words (commandline -opc) \"$cur\"\n"
		  "	set -l option (string match -r -- '^--[^=]*=' "
		  "\"$cur\")\n"
		  "	set -l rest (string replace -- \"$option\" '' "
		  "\"$cur\")\n"
		  "	for line in (culvert completion -- $words[2..-1] "
		  "2>/dev/null)\n"
		  "		if test \"$line\" = @files\n"
		  "			string replace -r -- '^' \"$option\" "
		  "\\\n"
		  "				(__fish_complete_path "
		  "\"$rest\")\n"
		  "		else\n"
		  "			echo -- $line\n"
		  "		end\n"
		  "	end\n"
		  "end\n"
		  "complete -c culvert -f -a '(__culvert)'\n" },
};

enum { SHELLS = sizeof shells / sizeof *shells };

/* a word of a command's usage */
struct token {
	const char *text, *value; /* value: of an option, or NULL */
	size_t len, value_len;
};

/* what is being completed */
struct query {
	const struct command *command;
	const char *word;   /* what there is of it, ... */
	const char *prefix; /* ... behind an option's name and = */
	size_t prefix_len;
};

static bool is_capital(char c)
{
	return c >= 'A' && c <= 'Z';
}

/* moves @usage behind the next word; false: there is none */
static bool next_token(const char **usage, struct token *t)
{
	const char *p = *usage + strspn(*usage, " []");
	size_t n = strcspn(p, " ]");
	*t = (struct token){ .text = p, .len = n };
	if (*p == '-' && p[n] == ' ' && is_capital(p[n + 1])) {
		t->value = p + n + 1;
		t->value_len = strcspn(t->value, " ]");
		n += 1 + t->value_len;
	}
	*usage = p + n;
	return *p != '\0';
}

static void offer(
	const struct query *q, const char *text, size_t len, const char *what)
{
	size_t n = strlen(q->word);
	if (len < n || strncmp(text, q->word, n))
		return;
	printf("%.*s%.*s%s%s\n", (int)q->prefix_len, q->prefix, (int)len, text,
		what ? "\t" : "", what ? what : "");
}

static void offer_commands(const struct query *q)
{
	const struct command *c;
	for (int i = 0; (c = command_at(i)); i++)
		offer(q, c->name, strlen(c->name), c->what);
}

/* FILE, or words of which one is meant: a|b */
static void offer_values(const struct query *q, const char *value, size_t len)
{
	const char *end = value + len;
	if (len == 4 && !strncmp(value, "FILE", len))
		puts("@files");
	if (!memchr(value, '|', len))
		return;
	for (const char *next; value < end; value = next + 1) {
		next = memchr(value, '|', (size_t)(end - value));
		next = next ? next : end;
		offer(q, value, (size_t)(next - value), NULL);
	}
}

static void offer_nodes(const struct query *q)
{
	char *text;
	if (gather(NULL, "show", &text))
		return;
	for (char *save, *line = strtok_r(text, "\n", &save); line;
		line = strtok_r(NULL, "\n", &save)) {
		if (!strncmp(line, "node ", 5))
			offer(q, line + 5, strlen(line + 5), NULL);
	}
	free(text);
}

static void offer_options(const struct query *q)
{
	const char *usage = q->command->usage;
	const struct option *o;
	struct token t;
	for (int i = 0; (o = option_at(q->command->name, i)); i++)
		offer(q, o->name, strlen(o->name), o->what);
	while (!option_at(q->command->name, 0) && next_token(&usage, &t)) {
		if (*t.text == '-')
			offer(q, t.text, t.len, NULL);
	}
}

static void offer_words(const struct query *q)
{
	const char *usage = q->command->usage;
	struct token t;
	while (next_token(&usage, &t)) {
		if (t.len == 4 && !strncmp(t.text, "NAME", t.len))
			offer_nodes(q);
		else if (*t.text >= 'a' && *t.text <= 'z' &&
			 !memchr(t.text, '|', t.len))
			offer(q, t.text, t.len, NULL);
		else if (*t.text != '-')
			offer_values(q, t.text, t.len);
	}
}

/* what an option is followed by; false: by nothing, or it is none */
static bool offer_values_of(const struct query *q, const char *name, size_t len)
{
	const char *usage = q->command->usage;
	const struct option *o;
	struct token t;
	for (int i = 0; (o = option_at(q->command->name, i)); i++) {
		if (strlen(o->name) != len || strncmp(o->name, name, len))
			continue;
		if (o->value)
			offer_values(q, o->value, strlen(o->value));
		return o->value != NULL;
	}
	while (next_token(&usage, &t)) {
		if (!t.value || t.len != len || strncmp(t.text, name, len))
			continue;
		offer_values(q, t.value, t.value_len);
		return true;
	}
	return false;
}

static const struct command *find(const char *name)
{
	const struct command *c;
	for (int i = 0; (c = command_at(i)); i++) {
		if (!strcmp(c->name, name))
			break;
	}
	return c;
}

/* @before: the word in front of it */
static void complete(struct query *q, const char *before)
{
	const char *eq = strchr(q->word, '=');
	if (offer_values_of(q, before, strlen(before)))
		return;
	if (*q->word == '-' && eq) {
		q->prefix = q->word;
		q->prefix_len = (size_t)(eq + 1 - q->word);
		q->word = eq + 1;
		offer_values_of(q, q->prefix, q->prefix_len - 1);
		return;
	}
	if (*q->word != '-')
		offer_words(q);
	if (*q->word == '-' || !*q->word)
		offer_options(q);
}

/* @word: all but the program's name, the last is being typed */
static void answer(char **word, int words)
{
	struct query q = { .word = word[words - 1], .prefix = "" };
	int before = words - 2;
	if (words == 1) {
		offer_commands(&q);
		return;
	}
	q.command = find(word[0]);
	if (!q.command)
		return;
	/* bash makes three words of --option=value */
	if (!strcmp(q.word, "="))
		q.word = "";
	else if (before > 1 && !strcmp(word[before], "="))
		before--;
	complete(&q, before ? word[before] : "");
}

int cmd_completion(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "--")) {
		answer(argv + 2, argc - 2);
		return EXIT_OK;
	}
	for (int i = 0; argc == 2 && i < SHELLS; i++) {
		if (strcmp(argv[1], shells[i].name))
			continue;
		fputs(shells[i].script, stdout);
		return EXIT_OK;
	}
	complain("completion: type \"culvert completion bash\", \"... zsh\" or "
		 "\"... fish\"");
	return EXIT_USAGE;
}
