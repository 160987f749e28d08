/// Archives of one or many runs as one list of samples, checked before anybody trains on them.
#pragma once

#include <mpi.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "src/archive/archive_reader.hpp"
#include "src/archive/held_out.hpp"

namespace tramontane {

struct ArchiveSetOptions {
  std::vector<std::string> archives;  ///< paths and patterns, as in the deck
  bool read_unfinished = false;       ///< archives that are cut off or still being written: take their whole samples
  bool skip_bad = false;              ///< samples that are damaged or hold NaN: leave them out
  HeldOutRule held_out;
  std::uint64_t seed = 1;  ///< of the choice of a share of months
};

/// What was left out or moved, for the report.
struct ArchiveFindings {
  std::int64_t bad = 0;         ///< samples left out as damaged or not finite
  std::int64_t duplicates = 0;  ///< samples left out because they had come before, in the same or another archive
  std::int64_t moved = 0;       ///< samples held out, against their archive's mark, because their month is elsewhere
  std::vector<std::string> notes;  ///< the same in words, one sentence each
};

/// Samples are numbered from 0 in the order of the archives and of their rows; held-out ones are marked by the rule,
/// whatever their archive says.
class ArchiveSet {
 public:
  /// Opens every archive and checks: same grid and interval, variables and units (ArchiveReader), finished unless the
  /// options allow otherwise, months. Local: every rank does the same. Throws InputError naming the archive.
  explicit ArchiveSet(const ArchiveSetOptions& options);

  /// Reads every sample once, shared out among the ranks of `comm` in whole blocks, and checks its checksum and that all
  /// its numbers are finite. Bad ones are left out of the list, or the first is an InputError, as the options say.
  /// `visit` gets the good training samples of this rank's blocks, in ascending order, with the number that they have
  /// before bad ones are left out. Returns false when a signal ended it early. Collective.
  bool check_samples(MPI_Comm comm, const std::function<void(const Sample&)>& visit = {}, bool show_progress = false);

  /// Samples of a block, and the number of blocks: functions of the list alone, so that what is summed up block by
  /// block does not depend on the number of ranks.
  std::int64_t block_samples() const;
  std::int64_t blocks() const { return (size() + block_samples() - 1) / block_samples(); }

  int n() const { return archives_.front()->n(); }
  double interval_seconds() const { return archives_.front()->interval_seconds(); }
  const std::string& first_path() const { return archives_.front()->path(); }
  std::int64_t size() const { return static_cast<std::int64_t>(entries_.size()); }
  /// Numbers of the samples that are trained on, and of those held out, ascending.
  const std::vector<std::int64_t>& training() const { return training_; }
  const std::vector<std::int64_t>& held_out() const { return held_out_; }
  /// Months by use, YYYYMM.
  const std::set<int>& training_months() const { return training_months_; }
  const std::set<int>& held_out_months() const { return held_out_months_; }
  const ArchiveFindings& findings() const { return findings_; }
  /// What identifies a sample, in its archive's own numbering, and that archive's place in archives().
  const SampleInfo& info(std::int64_t number) const { return info(entries_.at(static_cast<std::size_t>(number))); }
  int archive_of(std::int64_t number) const { return entries_.at(static_cast<std::size_t>(number)).archive; }
  const std::vector<std::unique_ptr<ArchiveReader>>& archives() const { return archives_; }
  /// Depends on every sample's contents, on their order and on which are held out.
  std::uint64_t fingerprint() const;

  /// Reads a sample; `number` and `validation` are those of this list. May be called from any thread. Throws InputError
  /// as ArchiveReader does.
  Sample read(std::int64_t number) const {
    Sample sample;
    read(number, sample);
    return sample;
  }
  /// The same into a sample whose memory is used again.
  void read(std::int64_t number, Sample& into) const;

 private:
  struct Entry {
    int archive = 0;
    std::int64_t row = 0;
    std::uint64_t fingerprint = 0;
    bool is_held_out = false;
  };
  void open(const ArchiveSetOptions& options);
  void list_samples();
  void hold_out(const ArchiveSetOptions& options);
  void sort_by_use();
  const SampleInfo& info(const Entry& e) const { return archives_[e.archive]->info(e.row); }

  bool skip_bad_;
  std::vector<std::unique_ptr<ArchiveReader>> archives_;
  std::vector<Entry> entries_;
  std::vector<std::int64_t> training_, held_out_;
  std::set<int> training_months_, held_out_months_;
  ArchiveFindings findings_;
};

}  // namespace tramontane
