import { type Node, stepsOf, wordsOf } from "./tree.ts";

/** Makes the script of a shell. */
export type Script = (nodes: readonly Node[]) => string;

export const SCRIPTS: Readonly<Record<string, Script>> = { bash, zsh, fish };

/** A text in single quotes, for any of the shells. */
function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** The `case` that follows the words of a line from command to command. */
function follow(nodes: readonly Node[], indent: string): string {
  const arms = stepsOf(nodes).map(({ from, names, to }) => {
    const patterns = names.map((name) => quote(`${from}/${name}`)).join("|");
    return `${indent}${patterns}) at=${quote(to)} ;;`;
  });
  return arms.join("\n");
}

function bash(nodes: readonly Node[]): string {
  const arms = nodes.map((node) => `    ${quote(node.path)}) words=${quote(wordsOf(node).join(" "))} ;;`);
  return `# Completion of hover for bash. Use: source <(hover completion bash)
_hover() {
  local current=\${COMP_WORDS[COMP_CWORD]} at='' words='' i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$at/\${COMP_WORDS[i]}" in
${follow(nodes, "      ")}
    esac
  done
  case "$at" in
${arms.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _hover hover
`;
}

function zsh(nodes: readonly Node[]): string {
  const entry = (word: string, help: string) => quote(`${word.replaceAll(":", "\\:")}:${help}`);
  const arms = nodes.map((node) => {
    const list = [
      ...node.children.flatMap(({ name, aliases, help }) =>
        [name, ...aliases].map((word) => entry(word, help)),
      ),
      ...node.values.map((value) => entry(value, value)),
      ...node.flags.flatMap(({ long, short, help }) =>
        [long, short].flatMap((word) => (word === undefined ? [] : [entry(word, help)])),
      ),
    ];
    return `    ${quote(node.path)}) list=(${list.join(" ")}) ;;`;
  });
  return `#compdef hover
# Completion of hover for zsh. Use: source <(hover completion zsh), after compinit
_hover() {
  local at='' i
  local -a list
  for ((i = 2; i < CURRENT; i++)); do
    case "$at/\${words[i]}" in
${follow(nodes, "      ")}
    esac
  done
  case "$at" in
${arms.join("\n")}
  esac
  _describe hover list || _files
}
compdef _hover hover
`;
}

function fish(nodes: readonly Node[]): string {
  const fishQuote = (text: string) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
  const arms = stepsOf(nodes).map(({ from, names, to }) => {
    const patterns = names.map((name) => fishQuote(`${from}/${name}`)).join(" ");
    return `      case ${patterns}\n        set at ${fishQuote(to)}`;
  });
  const lines = nodes.flatMap((node) => {
    const when = `-n ${fishQuote(`test (__hover_at) = "${node.path}"`)}`;
    return [
      ...node.children.map(
        ({ name, help }) => `complete -c hover -f ${when} -a ${name} -d ${fishQuote(help)}`,
      ),
      ...node.values.map((value) => `complete -c hover -f ${when} -a ${value}`),
      ...node.flags.map(({ long, short, takesValue, help }) => {
        const names = [long ? `-l ${long.slice(2)}` : "", short ? `-s ${short.slice(1)}` : ""].filter(
          Boolean,
        );
        return `complete -c hover ${when} ${names.join(" ")}${takesValue ? " -r" : ""} -d ${fishQuote(help)}`;
      }),
    ];
  });
  return `# Completion of hover for fish. Use: hover completion fish | source
function __hover_at
  set -l at ''
  for word in (commandline -opc)[2..]
    switch "$at/$word"
${arms.join("\n")}
    end
  end
  echo -- $at
end
${lines.join("\n")}
`;
}
