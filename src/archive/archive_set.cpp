#include "src/archive/archive_set.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <unordered_set>

#include "kernels/checksum.hpp"
#include "src/archive/archive_list.hpp"
#include "src/program/collective_guard.hpp"
#include "src/program/progress.hpp"
#include "src/program/signals.hpp"

namespace tramontane {

ArchiveSet::ArchiveSet(const ArchiveSetOptions& options) : skip_bad_(options.skip_bad) {
  open(options);
  list_samples();
  hold_out(options);
  sort_by_use();
}

void ArchiveSet::open(const ArchiveSetOptions& options) {
  std::vector<std::string> repeated;
  for (const std::string& path : expand_archives(options.archives, &repeated)) {
    auto archive = std::make_unique<ArchiveReader>(path, options.read_unfinished);
    if (!archive->complete() && !options.read_unfinished)
      throw InputError(
          fmt::format("archive {}: it is still being written, or the run that wrote it ended early: wait for it, or set "
                      "learner.unfinished=read to take the {} samples that are whole",
                      path, archive->size()));
    if (!archive->complete())
      findings_.notes.push_back(fmt::format("archive {} {}: those of its {} samples that are whole are taken", path,
                                            archive->truncated() ? "is cut off" : "is unfinished", archive->size()));
    if (!archives_.empty() && (archive->n() != n() || archive->interval_seconds() != interval_seconds()))
      throw InputError(
          fmt::format("archive {} holds C{} at {:g} s but {} holds C{} at {:g} s: train on archives of one grid and "
                      "interval",
                      path, archive->n(), archive->interval_seconds(), first_path(), n(), interval_seconds()));
    archives_.push_back(std::move(archive));
  }
  if (archives_.empty())
    throw InputError("learner.archives names no archive: give the path of one that a run left");
  for (const std::string& path : repeated)
    findings_.notes.push_back(fmt::format("archive {} is named more than once: it is taken once", path));
}

void ArchiveSet::list_samples() {
  std::unordered_set<std::uint64_t> seen;
  for (std::size_t a = 0; a < archives_.size(); ++a) {
    std::int64_t repeated = 0;
    for (std::int64_t row = 0; row < archives_[a]->size(); ++row) {
      // The marks of a sample can be among what a truncated file lacks.
      if (archives_[a]->truncated() && archives_[a]->info(row).month == 0) continue;
      const std::uint64_t fingerprint = archives_[a]->fingerprint(row);
      if (seen.insert(fingerprint).second)
        entries_.push_back({static_cast<int>(a), row, fingerprint, false});
      else
        ++repeated;
    }
    findings_.duplicates += repeated;
    if (repeated > 0)
      findings_.notes.push_back(
          fmt::format("archive {}: {} of its {} samples have come before (a copy, or the same run again): each is taken "
                      "once",
                      archives_[a]->path(), repeated, archives_[a]->size()));
  }
  if (entries_.empty())
    throw InputError(fmt::format("archive {}: there is no sample in learner.archives; name archives that hold some",
                                 first_path()));
}

void ArchiveSet::hold_out(const ArchiveSetOptions& options) {
  std::set<int> there, marked;
  for (const Entry& e : entries_) {
    there.insert(info(e).month);
    if (info(e).validation) marked.insert(info(e).month);
  }
  held_out_months_ = options.held_out.choose(there, marked, options.seed);
  std::map<int, std::int64_t> moved;
  for (Entry& e : entries_) {
    e.is_held_out = held_out_months_.count(info(e).month) > 0;
    if (options.held_out.kind == HeldOutRule::Kind::as_marked && e.is_held_out && !info(e).validation)
      ++moved[info(e).month];
  }
  for (const auto& [month, count] : moved) {
    findings_.moved += count;
    findings_.notes.push_back(
        fmt::format("{} is held out by one archive and trained on in another: it is held out in both ({} samples)",
                    month_text(month), count));
  }
}

void ArchiveSet::sort_by_use() {
  training_.clear();
  held_out_.clear();
  training_months_.clear();
  for (std::int64_t k = 0; k < size(); ++k) {
    const Entry& e = entries_[static_cast<std::size_t>(k)];
    (e.is_held_out ? held_out_ : training_).push_back(k);
    if (!e.is_held_out) training_months_.insert(info(e).month);
  }
}

std::int64_t ArchiveSet::block_samples() const {
  constexpr std::int64_t kLeast = 16, kMostBlocks = 256;
  return std::max(kLeast, (size() + kMostBlocks - 1) / kMostBlocks);
}

bool ArchiveSet::check_samples(MPI_Comm comm, const std::function<void(const Sample&)>& visit, bool show_progress) {
  int rank = 0, ranks = 1;
  MPI_Comm_rank(comm, &rank);
  MPI_Comm_size(comm, &ranks);
  std::vector<char> bad(entries_.size(), 0);
  std::vector<std::string> problems;
  int stopped = 0;
  Progress progress("checking the archives", static_cast<double>(size()), "samples", show_progress && rank == 0);
  collective_guard(comm, [&] {
    const std::int64_t block = block_samples();
    // Within a rank's blocks one after the other: k jumps over those of the other ranks.
    for (std::int64_t k = rank * block; k < size() && !stopped;
         k += (k + 1) % block == 0 ? 1 + (ranks - 1) * block : 1) {
      try {
        const Sample sample = read(k);
        if (visit && !sample.info.validation) visit(sample);
      } catch (const InputError& error) {
        // What a truncated file lacks was given up when it was accepted.
        const bool is_lost = archives_[entries_[static_cast<std::size_t>(k)].archive]->truncated();
        if (!skip_bad_ && !is_lost)
          throw InputError(fmt::format("{}, or leave out the bad samples with learner.bad_samples=skip", error.what()));
        bad[static_cast<std::size_t>(k)] = 1;
        if (problems.empty()) problems.emplace_back(error.what());
      }
      progress.update(static_cast<double>(k + 1));
      stopped = stop_requested() ? 1 : 0;
    }
  });
  progress.finish();
  MPI_Allreduce(MPI_IN_PLACE, &stopped, 1, MPI_INT, MPI_MAX, comm);
  if (stopped) return false;
  MPI_Allreduce(MPI_IN_PLACE, bad.data(), static_cast<int>(bad.size()), MPI_CHAR, MPI_MAX, comm);
  std::map<int, std::vector<std::int64_t>> rows;
  std::vector<Entry> good;
  for (std::size_t k = 0; k < entries_.size(); ++k)
    if (bad[k])
      rows[entries_[k].archive].push_back(entries_[k].row);
    else
      good.push_back(entries_[k]);
  if (rows.empty()) return true;
  for (const auto& [archive, list] : rows) {
    findings_.bad += static_cast<std::int64_t>(list.size());
    constexpr std::size_t kNamed = 10;
    const std::vector<std::int64_t> first(list.begin(), list.begin() + std::min(kNamed, list.size()));
    findings_.notes.push_back(fmt::format(
        "archive {}: {} samples are {} and left out ({}{})", archives_[archive]->path(), list.size(),
        archives_[archive]->truncated() ? "lost with its end, damaged" : "damaged or not finite",
        fmt::join(first, ", "), list.size() > kNamed ? ", ..." : ""));
  }
  for (const std::string& problem : problems) findings_.notes.push_back("the first of them: " + problem);
  entries_ = std::move(good);
  sort_by_use();
  if (training_.empty())
    throw InputError(fmt::format("archive {}: no good sample is left to train on; give other archives", first_path()));
  return true;
}

void ArchiveSet::read(std::int64_t number, Sample& into) const {
  const Entry& e = entries_.at(static_cast<std::size_t>(number));
  archives_[e.archive]->read(e.row, into);
  into.info.number = number;
  into.info.validation = e.is_held_out ? 1 : 0;
}

std::uint64_t ArchiveSet::fingerprint() const {
  Checksum sum;
  for (const Entry& e : entries_) {
    sum.add(&e.fingerprint, sizeof e.fingerprint);
    sum.add(&e.is_held_out, sizeof e.is_held_out);
  }
  return sum.value();
}

}  // namespace tramontane
