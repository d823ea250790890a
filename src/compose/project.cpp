#include "compose/project.h"

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "compose/build.h"
#include "compose/dotenv.h"
#include "compose/fields.h"
#include "compose/merge.h"
#include "compose/networks.h"
#include "compose/service.h"
#include "protocol/validate.h"

namespace trailer::compose {
namespace {

namespace fs = std::filesystem;

std::string directory_of(const std::string& file, const std::string& working_directory) {
    const auto path = (fs::path(working_directory) / file).lexically_normal();
    auto directory = file.empty() ? fs::path(working_directory) : path.parent_path();
    auto text = directory.lexically_normal().string();
    while (text.size() > 1 && text.ends_with('/')) text.pop_back();
    return text;
}

// As Compose makes a name of a directory's.
std::string name_of_directory(const std::string& directory) {
    std::string name;
    for (const char c : fs::path(directory).filename().string()) {
        const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        const bool good = (lower >= 'a' && lower <= 'z') || (lower >= '0' && lower <= '9') ||
                          ((lower == '_' || lower == '-') && !name.empty());
        if (good) name += lower;
    }
    while (name.ends_with('_') || name.ends_with('-')) name.pop_back();
    return name;
}

// Those that others depend on first, so that the last one can be deleted first.
std::vector<Document> in_their_order(std::vector<Document> workspaces) {
    std::map<std::string, std::size_t> index_of;
    for (std::size_t i = 0; i < workspaces.size(); ++i) index_of.emplace(workspaces[i].name, i);
    std::vector<std::size_t> order;
    std::set<std::size_t> seen;
    const auto put = [&](const auto& self, std::size_t index) -> void {
        if (!seen.insert(index).second) return;
        const auto& spec = workspaces[index].value.at("spec").as_object();
        if (const auto* needed = spec.if_contains("depends_on")) {
            for (const auto& each : needed->as_array()) {
                const auto found = index_of.find(std::string(each.at("workspace").as_string()));
                if (found != index_of.end()) self(self, found->second);
            }
        }
        order.push_back(index);
    };
    for (std::size_t i = 0; i < workspaces.size(); ++i) put(put, i);
    std::vector<Document> ordered;
    for (const auto index : order) ordered.push_back(std::move(workspaces[index]));
    return ordered;
}

class ProjectReader {
  public:
    ProjectReader(const std::string& first_file, const Options& options)
        : options_(options), directory_(directory_of(first_file, options.working_directory)) {}

    Project run(std::vector<Node> files) {
        read_variables();
        choose_name(files);
        read_files(std::move(files));
        choose_services();
        read_documents();
        return std::move(project_);
    }

  private:
    Findings& findings() { return project_.findings; }

    void read_variables() {
        const auto beside = directory_ + "/.env";
        std::string file;
        if (!options_.env_file.empty()) {
            file = (fs::path(options_.working_directory) / options_.env_file).string();
        } else if (fs::exists(beside)) {
            file = beside;
        }
        variables_ = options_.environment;
        if (file.empty()) return;
        const auto made = parse_env_file(read_file(file), options_.environment);
        for (const auto& each : made.faults) {
            findings().faults.push_back(fmt::format("{}:{}: {}", file, each.line, each.what));
        }
        for (const auto& each : made.unset) {
            findings().warnings.push_back(
                fmt::format("{}: the variable {} is not set: it is taken as empty", file, each));
        }
        for (const auto& [name, value] : made.entries) {
            if (value && !options_.environment.contains(name)) variables_[name] = *value;
        }
    }

    void choose_name(std::vector<Node>& files) {
        const Node* node = nullptr;
        for (auto& file : files) {
            auto* name = file.find("name");
            if (name == nullptr || name->is_null()) continue;
            interpolate(*name, variables_, unset_, findings());
            node = name;
        }
        const auto set = variables_.find("COMPOSE_PROJECT_NAME");
        auto& name = project_.name;
        if (!options_.group.empty()) {
            name = options_.group;
            node = nullptr;
        } else if (set != variables_.end() && !set->second.empty()) {
            name = set->second;
            node = nullptr;
        } else {
            name = node != nullptr ? read_text(*node, findings()) : name_of_directory(directory_);
        }
        variables_["COMPOSE_PROJECT_NAME"] = name;
        std::vector<FieldError> errors;
        protocol::check_name(name, "", errors);
        for (const auto& error : errors) {
            const auto what = fmt::format("the group's name \"{}\": {}{}", name, error.detail,
                                          node == nullptr ? "; choose one by --group" : "");
            findings().fault(node == nullptr ? files.front() : *node, what);
        }
    }

    void read_files(std::vector<Node> files) {
        for (auto& file : files) {
            for (const auto* section : {"services", "networks", "volumes"}) {
                if (auto* node = file.find(section)) {
                    interpolate(*node, variables_, unset_, findings());
                }
            }
        }
        root_ = std::move(files.front());
        for (std::size_t i = 1; i < files.size(); ++i) root_ = merge(std::move(root_), files[i]);
        drop_resets(root_);
    }

    // Those of a profile rest until it is asked for.
    void choose_services() {
        auto profiles = options_.profiles;
        if (const auto set = variables_.find("COMPOSE_PROFILES"); set != variables_.end()) {
            std::string_view rest = set->second;
            while (!rest.empty()) {
                const auto comma = std::min(rest.find(','), rest.size());
                profiles.emplace_back(rest.substr(0, comma));
                rest.remove_prefix(std::min(comma + 1, rest.size()));
            }
        }
        const auto* services = root_.find("services");
        const bool none = services == nullptr || services->is_null() ||
                          (services->is_map() && services->members.empty());
        if (none) return findings().fault(root_, "there are no services in it");
        if (!services->is_map()) return findings().fault(*services, "expected a map of services");
        for (const auto& [name, node] : services->members) {
            if (name.starts_with("x-")) continue;
            const auto* own = node.find("profiles");
            const auto wanted = own == nullptr || own->is_null()
                                    ? std::vector<std::string>()
                                    : read_text_or_texts(*own, findings());
            const bool takes_part =
                wanted.empty() || std::ranges::any_of(profiles, [&](const std::string& profile) {
                    return profile == "*" || std::ranges::find(wanted, profile) != wanted.end();
                });
            if (!takes_part) {
                resting_[name] = wanted.front();
                continue;
            }
            const auto* container = node.find("container_name");
            workspaces_[name] = container == nullptr || container->is_null()
                                    ? fmt::format("{}-{}", project_.name, name)
                                    : read_text(*container, findings());
            services_.emplace_back(name, &node);
        }
    }

    void read_documents() {
        Fields fields(root_, findings());
        fields.accept({"version", "name", "services"});
        Shared networks(protocol::Kind::network, fields.take("networks"), project_.name,
                        findings());
        Shared volumes(protocol::Kind::volume, fields.take("volumes"), project_.name, findings());
        fields.leave_out({"configs", "secrets", "include", "models"});
        fields.finish();
        Images images(directory_, variables_, findings());
        const auto home = variables_.find("HOME");
        const ServiceSurroundings surroundings{
            .project = project_.name,
            .paths = {.directory = directory_,
                      .home = home == variables_.end() ? std::string() : home->second},
            .variables = variables_,
            .workspaces = workspaces_,
            .resting = resting_,
            .networks = networks,
            .volumes = volumes,
            .images = images};
        std::vector<Document> workspaces;
        for (const auto& [name, node] : services_) {
            auto workspace = read_service(name, *node, surroundings, findings());
            workspace.places.emplace("/name", node->place);
            if (const auto* container = node->find("container_name")) {
                workspace.places["/name"] = container->place;
            }
            workspaces.push_back(std::move(workspace));
        }
        add(networks.documents());
        add(volumes.documents());
        add(images.documents());
        add(in_their_order(std::move(workspaces)));
    }

    void add(std::vector<Document> documents) {
        for (auto& document : documents) {
            boost::json::object value{{"kind", protocol::title(document.kind)},
                                      {"name", document.name}};
            if (!options_.host.empty()) value["host"] = options_.host;
            value["group"] = project_.name;
            value["spec"] = document.value.at("spec");
            document.value = std::move(value);
            project_.documents.push_back(std::move(document));
        }
    }

    const Options& options_;
    std::string directory_;
    Variables variables_;
    std::set<std::string> unset_;
    Node root_;
    std::vector<std::pair<std::string, const Node*>> services_;
    std::map<std::string, std::string> workspaces_;  // by service
    std::map<std::string, std::string> resting_;     // by service: one of its profiles
    Project project_;
};

}  // namespace

Project read_project(std::vector<Node> files, const std::string& first_file,
                     const Options& options) {
    if (files.empty()) throw Error(ErrorKind::internal, "a project without a file");
    return ProjectReader(first_file, options).run(std::move(files));
}

}  // namespace trailer::compose
