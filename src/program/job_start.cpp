#include "src/program/job_start.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <sstream>

#include "kernels/communicator.hpp"
#include "kernels/errors.hpp"
#include "src/deck/keys.hpp"
#include "src/program/collective_guard.hpp"
#include "src/program/machine.hpp"

namespace tramontane {

namespace {

/// What a program says of itself, as bytes that every build lays out alike.
struct Card {
  std::array<char, 64> version{};
  std::int32_t command = 0, role = 0, prints_only = 0, reserved = 0;
};

std::vector<ProgramFacts> gather_facts(const ProgramFacts& own, MPI_Comm world) {
  int size = 1;
  MPI_Comm_size(world, &size);
  Card card;
  std::strncpy(card.version.data(), own.version.c_str(), card.version.size() - 1);
  card.command = static_cast<std::int32_t>(own.command);
  card.role = static_cast<std::int32_t>(own.role);
  card.prints_only = own.prints_only ? 1 : 0;
  std::vector<Card> cards(static_cast<std::size_t>(size));
  MPI_Allgather(&card, sizeof card, MPI_BYTE, cards.data(), sizeof card, MPI_BYTE, world);
  std::vector<ProgramFacts> all;
  for (const Card& c : cards)
    all.push_back({c.version.data(), static_cast<Command>(c.command), static_cast<Role>(c.role), c.prints_only != 0});
  return all;
}

/// The first line in which two lists of settings differ, with the other's line.
std::string first_difference(const std::string& mine, const std::string& other) {
  std::istringstream a(mine), b(other);
  std::string x, y;
  while (std::getline(a, x) && std::getline(b, y))
    if (x != y) return fmt::format("{} here and {} there", x, y);
  return "their lists of keys";
}

/// Each program's first rank reads, the others receive: few accesses to the file system whatever the number of ranks.
Deck read_job_deck(const CommandLine& line, MPI_Comm world) {
  MPI_Comm program;
  MPI_Comm_split(world, static_cast<int>(line.role), rank_in(world), &program);
  std::string text;
  Deck deck;
  collective_guard(world, [&] {
    if (rank_in(program) == 0) text = read_text_file(line.deck);
  });
  text = shared_text(std::move(text), program);
  MPI_Comm_free(&program);
  collective_guard(world, [&] { deck = parse_deck(text, line.deck, line.overrides); });
  const std::string mine = shared_settings(deck), first = shared_text(mine, world);
  collective_guard(world, [&] {
    if (mine != first)
      throw InputError(fmt::format("the programs of this job disagree on the deck: {} (rank {} and rank 0): give both "
                                   "the same deck and the same --set",
                                   first_difference(mine, first), rank_in(world)));
  });
  return deck;
}

}  // namespace

void require_one_job(const std::vector<ProgramFacts>& programs) {
  const ProgramFacts& first = programs.front();
  const bool has_roles = std::any_of(programs.begin(), programs.end(), [](auto& p) { return p.role != Role::any; });
  for (std::size_t rank = 1; rank < programs.size(); ++rank) {
    const ProgramFacts& p = programs[rank];
    if (p.version != first.version)
      throw InputError(fmt::format("rank {} runs tramontane {} and rank 0 tramontane {}: start one version on all ranks",
                                   rank, p.version, first.version));
    if (p.command != first.command || p.prints_only != first.prints_only)
      throw InputError(fmt::format("rank {} was started with the command {} and rank 0 with {}: give all programs of a "
                                   "job the same one",
                                   rank, name_of(p.command), name_of(first.command)));
  }
  if (!has_roles) return;
  const auto count = [&](Role role) {
    return std::count_if(programs.begin(), programs.end(), [&](auto& p) { return p.role == role; });
  };
  for (std::size_t rank = 0; rank < programs.size(); ++rank)
    if (programs[rank].role == Role::any)
      throw InputError(fmt::format("rank {} was started without --role and others with it: give every program of the job "
                                   "its role, or none",
                                   rank));
  if (count(Role::solver) == 0 || count(Role::learner) == 0)
    throw InputError(fmt::format("all ranks were started with --role {}: a job needs the other role, too, as in mpirun "
                                 "-n 2 tramontane run DECK --role solver : -n 1 tramontane run DECK --role learner",
                                 first.role == Role::solver ? "solver" : "learner"));
}

std::string shared_settings(const Deck& deck) {
  std::string text;
  for (const Key& key : deck_keys())
    if (key.name != "surrogate.backend") text += fmt::format("{} = {}\n", key.name, key.get(deck));
  return text;
}

CommandContext begin_job(const std::vector<char*>& arguments, MPI_Comm world) {
  CommandContext context;
  CommandLine& line = context.line;
  collective_guard(world,
                   [&] { line = read_command_line(static_cast<int>(arguments.size()), arguments.data()); });
  context.world = world;
  context.rank = rank_in(world);
  MPI_Comm_size(world, &context.size);
  const std::vector<ProgramFacts> programs =
      gather_facts({TRAMONTANE_VERSION, line.command, line.role, line.printed.has_value()}, world);
  require_one_job(programs);
  if (line.printed || line.command == Command::info) return context;

  context.deck = read_job_deck(line, world);
  if (line.command == Command::scale) return context;
  const Command planned = line.command == Command::check ? line.planned : line.command;
  // The archive is what a learner of another job reads, so such a run always has one.
  if (has_two_jobs(context.deck, planned) && planned == Command::run && !context.deck.stream.archive)
    context.deck.stream.archive = *context.deck.exchange.dir + "/archive.h5";
  // Started on one rank, check plans for a job that is not there: the least number of ranks that the deck works with.
  const bool is_real = line.command != Command::check || (context.size > 1 && !line.planned_ranks);
  const int ranks = is_real ? context.size : line.planned_ranks.value_or(least_ranks(context.deck, planned));
  Machine machine = is_real ? find_machine(world)
                            : Machine::alike(ranks, line.planned_ranks_per_node.value_or(ranks),
                                             line.planned_gpus_per_node.value_or(0));
  JobFacts facts;
  facts.gpus = machine.gpu_count();
  std::vector<Role> roles;
  if (is_real && line.role != Role::any) {
    for (const ProgramFacts& program : programs) roles.push_back(program.role);
    const auto learners = static_cast<int>(std::count(roles.begin(), roles.end(), Role::learner));
    facts.given = RankLayout{context.size - learners, learners};
  }
  context.ranks = rank_layout(context.deck, planned, ranks, facts);
  context.seats = place_ranks(context.deck, context.ranks, machine, roles);
  if (!is_real) return context;

  // The job's own numbering: solvers first, then learners. It is the only place where roles meet MPI's numbers.
  const auto own = std::find_if(context.seats.begin(), context.seats.end(),
                                [&](const Seat& seat) { return seat.world_rank == context.rank; });
  const int number = static_cast<int>(own - context.seats.begin());
  MPI_Comm_split(world, 0, number, &context.world);
  context.rank = number;
  return context;
}

}  // namespace tramontane
