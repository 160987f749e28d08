/// The architectures that a deck can name. A new one is one file here, a line in network_kind.cpp, and its test.
#pragma once

#include <string>
#include <vector>

#include "ml/network_graph.hpp"

namespace tramontane {

class NetworkKind {
 public:
  virtual ~NetworkKind() = default;
  virtual std::string name() const = 0;
  /// Throws InputError, in one sentence, if the specification's own sizes do not fit one another or the grid. Sizes
  /// that all kinds have are checked already.
  virtual void check(const NetworkSpec& spec) const = 0;
  /// Adds all nodes; graph.inputs is set.
  virtual void build(const NetworkSpec& spec, NetworkGraph& graph) const = 0;
  /// Cells per panel edge of the smallest sphere on which the network exists, for self-tests.
  virtual int smallest_grid(const NetworkSpec& spec) const = 0;
};

/// The kind of a name. Throws InputError, naming those there are, if there is none.
const NetworkKind& network_kind(const std::string& name);
std::vector<std::string> network_names();

}  // namespace tramontane
