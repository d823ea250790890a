// What each request and each poll pays: JSON to checked documents, and a page of resources to JSON.
#include <benchmark/benchmark.h>

#include "protocol/api.h"
#include "protocol/validate.h"

namespace trailer::protocol {
namespace {

json::object workspace_spec() {
    return json::parse(R"({
        "image": "tools", "command": ["sleep", "infinity"], "env": {"EDITOR": "vim", "LANG": "C.UTF-8"},
        "ports": [{"host": 8080, "container": 80}],
        "mounts": [{"volume": "data", "target": "/data"}],
        "networks": [{"network": "lab", "aliases": ["dev"]}],
        "resources": {"cpus": 1.5, "memory": 536870912, "pids": 512}})")
        .as_object();
}

void check_a_workspace(benchmark::State& state) {
    const auto spec = workspace_spec();
    for (auto _ : state) {
        std::vector<FieldError> errors;
        benchmark::DoNotOptimize(check_spec(Kind::workspace, spec, errors));
    }
}
BENCHMARK(check_a_workspace);

void write_a_page_of_workspaces(benchmark::State& state) {
    std::vector<FieldError> errors;
    ResourceView view;
    view.id = "01890a5d-ac96-774b-bcce-b302099a8057";
    view.name = "dev";
    view.host = "gpu-box-1";
    view.spec = check_spec(Kind::workspace, workspace_spec(), errors);
    const std::vector<ResourceView> page(static_cast<std::size_t>(state.range(0)), view);
    for (auto _ : state) benchmark::DoNotOptimize(wire::to_json_text(page));
    state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(write_a_page_of_workspaces)->Arg(100)->Arg(1000);

}  // namespace
}  // namespace trailer::protocol
