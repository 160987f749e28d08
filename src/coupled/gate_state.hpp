/// What the gate knows, for a snapshot, on any number of ranks.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace tramontane {

/// Fields of the shadow cases in the order of the sphere.
struct ShadowCasesState {
  int lesson = -1;
  std::vector<double> coarse_errors;       ///< of complete cases
  std::vector<std::int64_t> truths;        ///< by case: states that follow its start
  std::vector<std::vector<double>> starts;  ///< by case: depth, velocity x, y, z, each (6, n, n)
  std::vector<std::vector<float>> states;  ///< of all cases, one after the other: the same
};

/// On the first solver rank; empty on the others but for `facts` when it is restored.
struct GateState {
  nlohmann::ordered_json facts;
  std::vector<std::vector<std::byte>> models;  ///< of the versions, the one in use last; then the last candidate
  ShadowCasesState cases;
};

/// Writes the gate's parts into a snapshot's folder, and reads them. On one rank. RunError.
void write_gate_parts(const std::string& folder, const GateState& state);
GateState read_gate_parts(const std::string& folder);

}  // namespace tramontane
