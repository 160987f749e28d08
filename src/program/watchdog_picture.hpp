/// Where every rank of a job is, and whether the job gets on. No communication here.
#pragma once

#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <vector>

namespace tramontane {

/// The ranks' common facts, known from the start.
struct RankFacts {
  std::string role, host;  ///< solver, learner or rank
  int process = 0;         ///< process number on the host
};

/// What a rank's watchdog says of its main thread, or what is known of a rank that says nothing. Times in s.
struct RankPlace {
  struct Wait {
    std::string what;
    std::vector<int> ranks;  ///< empty: not known
    double age = 0;
    double own_limit = 0;  ///< see WaitScope
  };
  bool answers = false;
  double heard_age = std::numeric_limits<double>::infinity();  ///< s, of a silent rank: since its last answer
  std::string found;        ///< of a silent rank: what else is known, "its process is stopped"
  std::vector<Wait> waits;  ///< outermost first
  std::string did;
  long long did_number = 0, finished = 0;
  double did_age = 0;
  double quiet = 0;          ///< since an outermost wait last began or ended, or a sign of life came
  std::string thread_state;  ///< of the main thread, as Linux sees it: "running", "sleeping" ...

  /// s: how long the rank may be quiet while it waits; own limits have some seconds for their own handling.
  double limit(double deadline) const;
  /// It waits, and longer than it may.
  bool is_overdue(double deadline) const { return answers && !waits.empty() && quiet > limit(deadline); }
  /// Whom it waits for by its innermost wait that knows; everybody else where none does.
  std::vector<int> waits_for(int own_rank, int ranks) const;
};

/// This process's place.
RankPlace own_place();

nlohmann::json to_json(const RankPlace& place);
RankPlace place_from_json(const nlohmann::json& text);

struct HangVerdict {
  bool ends = false;          ///< the job hangs
  std::vector<int> culprits;  ///< ranks that the others wait for in vain; may be empty
  std::string why;            ///< one clause
};
/// Judges a job in which a rank has waited past its limit. It hangs when, among the ranks that overdue ones wait for,
/// directly or through others, one has not answered for `deadline`, or one computes without a sign of life for
/// `deadline`, or none has moved within its limit. Otherwise somebody works and is waited for: that is no hang, however
/// long it takes.
/// @param contained ranks whose loss the run copes with: silence of theirs does not count, and their own alarms only
/// when they wait for one of the others that does not answer
HangVerdict judge(const std::vector<RankPlace>& places, double deadline, const std::set<int>& contained = {});

/// One line a rank, or a line for ranks that are alike when there are many.
std::string picture_text(const std::vector<RankPlace>& places, const std::vector<RankFacts>& facts);

/// "0-3, 7".
std::string rank_list(const std::vector<int>& ranks);

}  // namespace tramontane
