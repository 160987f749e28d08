/// Which of MPI's ranks has which role, by nodes and GPUs.
#pragma once

#include <string>
#include <vector>

#include "src/deck/layout.hpp"

namespace tramontane {

/// What a program was told to be (--role).
enum class Role { any = 0, solver = 1, learner = 2 };

/// The nodes and GPUs under a job's ranks.
struct Machine {
  struct Place {
    int node = 0;                   ///< index into `nodes`
    int local_rank = 0;             ///< among the node's ranks
    std::vector<std::string> gpus;  ///< that the rank sees, in its numbering, each by a name that is its own on the node
  };
  std::vector<std::string> nodes;  ///< names, in the order of their first ranks
  std::vector<Place> ranks;        ///< by MPI's rank

  int size() const { return static_cast<int>(ranks.size()); }
  /// Different GPUs that the ranks see.
  int gpu_count() const;
  /// Nodes that are alike, filled one after the other.
  static Machine alike(int ranks, int ranks_per_node, int gpus_per_node = 0);
};

/// Where a rank of the job sits.
struct Seat {
  int world_rank = 0;  ///< MPI's number
  bool learner = false;
  int node = 0;
  std::string node_name;
  int local_rank = 0;
  int gpu = -1;          ///< to use, in the rank's own numbering; -1: it sees none
  std::string gpu_name;  ///< the machine's name of it
  int gpu_users = 0;     ///< ranks of the job that use it
};

/// Deals roles and GPUs; the result is by job rank: all solvers, then all learners, each in MPI's order. So a placement
/// is nothing but another numbering, and results do not depend on it.
///
/// Who trains is what `given` says (by MPI's rank; empty or all `any`: nothing), else ranks.learner_ranks, else
/// ranks.placement: `packed` takes the last ranks of the last nodes, `spread` the last rank of each node in turn, `auto`
/// does that on the nodes with GPUs, as many learners on each as it has GPUs, or on all nodes when there are none.
/// MPI's rank 0 integrates unless it is listed. Learners choose their GPUs first, so that each has one to itself where
/// there are enough; solvers share the others.
/// Throws InputError when the list names a rank that is not there or twice, or all of them.
std::vector<Seat> place_ranks(const Deck& deck, const RankLayout& layout, const Machine& machine,
                              const std::vector<Role>& given = {});

/// One line on who trains where, such as "6 ranks integrate, 2 train: n1 3 + 1, n2 3 + 1".
std::string seats_text(const std::vector<Seat>& seats);

}  // namespace tramontane
