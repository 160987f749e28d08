#include "src/coupled/provenance.hpp"

#include <fmt/format.h>

#include <array>
#include <filesystem>
#include <fstream>

#include "kernels/checksum.hpp"
#include "src/output/run_folder.hpp"
#include "src/program/job_start.hpp"

namespace tramontane {

std::string run_id(const Deck& deck) {
  // The programs of one job may differ in the back end, and are one run; so is a run that is continued, perhaps on other
  // ranks.
  Deck same = deck;
  same.checkpoint = {};
  same.ranks = {};
  const std::string text = shared_settings(same);
  Checksum sum;
  sum.add(text.data(), text.size());
  return fmt::format("{:016x}", sum.value());
}

std::string training_provenance(const Deck& deck, const std::string& command) {
  nlohmann::ordered_json out = {{"command", command}, {"version", TRAMONTANE_VERSION}, {"run_id", run_id(deck)}};
  for (const Month& month : deck.teach_months()) out["months"].push_back(month.text());
  for (const Month& month : deck.teach.validation) out["validation_months"].push_back(month.text());
  out["archives"] = deck.learner.archives;
  out["deck"] = dump_deck(deck);
  return out.dump();
}

void share_learner_summary(const CommandContext& context, Summary& summary, double idle_seconds) {
  // As doubles, which hold every count below 2^53 exactly.
  std::array<double, 18> figures{};
  if (summary.learner) {
    const LearnerSummary& s = *summary.learner;
    figures = {static_cast<double>(s.parameters),
               static_cast<double>(s.steps),
               static_cast<double>(s.samples_seen),
               s.reuse_factor,
               s.samples_per_second,
               s.loss_first,
               s.loss_last,
               s.validation_loss.value_or(0),
               s.validation_loss ? 1.0 : 0.0,
               static_cast<double>(s.weights_version),
               idle_seconds,
               static_cast<double>(s.reservoir_bytes),
               static_cast<double>(s.receive_bytes),
               s.peer_wait_seconds,
               s.drift.value_or(0),
               s.drift ? 1.0 : 0.0,
               static_cast<double>(s.drift_step),
               static_cast<double>(s.bad_steps)};
  }
  MPI_Bcast(figures.data(), static_cast<int>(figures.size()), MPI_DOUBLE, context.ranks.first_learner(), context.world);
  LearnerSummary s;
  s.parameters = static_cast<std::int64_t>(figures[0]);
  s.steps = static_cast<std::int64_t>(figures[1]);
  s.samples_seen = static_cast<std::int64_t>(figures[2]);
  s.reuse_factor = figures[3];
  s.samples_per_second = figures[4];
  s.loss_first = figures[5];
  s.loss_last = figures[6];
  if (figures[8] > 0) s.validation_loss = figures[7];
  s.weights_version = static_cast<int>(figures[9]);
  s.reservoir_bytes = static_cast<std::int64_t>(figures[11]);
  s.receive_bytes = static_cast<std::int64_t>(figures[12]);
  s.peer_wait_seconds = figures[13];
  if (figures[15] > 0) s.drift = figures[14];
  s.drift_step = static_cast<std::int64_t>(figures[16]);
  s.bad_steps = static_cast<std::int64_t>(figures[17]);
  summary.learner = s;
  if (summary.stream) summary.stream->learner_idle_seconds = figures[10];
}

void join_metrics(const std::vector<std::string>& parts, const std::string& path) {
  std::string text;
  for (const std::string& part : parts) {
    std::ifstream in(part);
    text.append(std::istreambuf_iterator<char>(in), {});
  }
  write_whole_file(path, text);
  for (const std::string& part : parts) std::filesystem::remove(part);
}

}  // namespace tramontane
