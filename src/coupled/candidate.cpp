#include "src/coupled/candidate.hpp"

#include <nlohmann/json.hpp>

#include "kernels/errors.hpp"

namespace tramontane {

namespace {

using Json = nlohmann::ordered_json;

Json optional_number(const std::optional<double>& value) {
  return value ? Json(*value) : Json(nullptr);
}
std::optional<double> optional_number(const Json& value) {
  return value.is_null() ? std::optional<double>() : std::optional<double>(value.get<double>());
}

}  // namespace

std::optional<double> CandidateFacts::relative_loss() const {
  if (!held_out_loss || !persistence_loss || !(*persistence_loss > 0)) return {};
  return *held_out_loss / *persistence_loss;
}

void write_facts(Model& model, const CandidateFacts& facts) {
  Json provenance = Json::parse(model.provenance);
  provenance["candidate"] = {{"version", facts.version},
                             {"training_step", facts.training_step},
                             {"held_out_loss", optional_number(facts.held_out_loss)},
                             {"persistence_loss", optional_number(facts.persistence_loss)},
                             {"last", facts.is_last}};
  model.provenance = provenance.dump();
}

CandidateFacts read_facts(const Model& model) {
  try {
    const Json facts = Json::parse(model.provenance).at("candidate");
    CandidateFacts out;
    out.version = facts.at("version").get<std::int64_t>();
    out.training_step = facts.at("training_step").get<std::int64_t>();
    out.held_out_loss = optional_number(facts.at("held_out_loss"));
    out.persistence_loss = optional_number(facts.at("persistence_loss"));
    out.is_last = facts.at("last").get<bool>();
    return out;
  } catch (const nlohmann::json::exception& error) {
    throw InputError(std::string("the weights do not say which version they are: ") + error.what());
  }
}

}  // namespace tramontane
