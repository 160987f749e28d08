#include "src/coupled/gate_state.hpp"

#include <fmt/format.h>

#include <cstring>

#include "kernels/errors.hpp"
#include "src/checkpoint/sealed_file.hpp"

namespace tramontane {

namespace {

constexpr int kGatePartFormat = 401;

std::string part(const std::string& folder, const std::string& name) {
  return folder + "/" + name;
}
std::string model_part(std::size_t k) {
  return fmt::format("weights-{}", k);
}

template <class T>
void append(std::vector<std::byte>& bytes, const std::vector<T>& values) {
  const auto* from = reinterpret_cast<const std::byte*>(values.data());
  bytes.insert(bytes.end(), from, from + values.size() * sizeof(T));
}

template <class T>
void take(const std::string& bytes, std::size_t& at, std::vector<T>& values) {
  const std::size_t size = values.size() * sizeof(T);
  if (at + size > bytes.size()) throw RunError("the shadow cases of a snapshot are too short");
  std::memcpy(values.data(), bytes.data() + at, size);
  at += size;
}

}  // namespace

void write_gate_parts(const std::string& folder, const GateState& state) {
  nlohmann::ordered_json facts = state.facts;
  const ShadowCasesState& cases = state.cases;
  facts["models"] = state.models.size();
  facts["case_lesson"] = cases.lesson;
  facts["coarse_errors"] = cases.coarse_errors;
  facts["truths"] = cases.truths;
  facts["case_values"] = cases.starts.empty() ? 0 : cases.starts.front().size();
  write_sealed_file(part(folder, "gate"), kGatePartFormat, facts.dump());
  for (std::size_t k = 0; k < state.models.size(); ++k)
    write_sealed_file(part(folder, model_part(k)), kGatePartFormat, state.models[k]);
  std::vector<std::byte> bytes;
  for (const auto& start : cases.starts) append(bytes, start);
  for (const auto& one : cases.states) append(bytes, one);
  if (!bytes.empty()) write_sealed_file(part(folder, "shadow-cases"), kGatePartFormat, bytes);
}

GateState read_gate_parts(const std::string& folder) {
  GateState state;
  try {
    state.facts = nlohmann::ordered_json::parse(read_behind_seal(part(folder, "gate")));
    const auto models = state.facts.at("models").get<std::size_t>(), values = state.facts.at("case_values").get<std::size_t>();
    for (std::size_t k = 0; k < models; ++k) {
      const std::string text = read_behind_seal(part(folder, model_part(k)));
      const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
      state.models.emplace_back(bytes, bytes + text.size());
    }
    ShadowCasesState& cases = state.cases;
    state.facts.at("case_lesson").get_to(cases.lesson);
    state.facts.at("coarse_errors").get_to(cases.coarse_errors);
    state.facts.at("truths").get_to(cases.truths);
    const std::string bytes = cases.truths.empty() ? "" : read_behind_seal(part(folder, "shadow-cases"));
    std::size_t at = 0;
    for (std::size_t k = 0; k < cases.truths.size(); ++k) take(bytes, at, cases.starts.emplace_back(values));
    for (const std::int64_t truths : cases.truths)
      for (std::int64_t k = 0; k < truths; ++k) take(bytes, at, cases.states.emplace_back(values));
  } catch (const nlohmann::json::exception& error) {
    throw RunError(fmt::format("{}/gate: {}", folder, error.what()));
  }
  return state;
}

}  // namespace tramontane
