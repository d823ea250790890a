#include "config/config.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <set>

#include "base/crypto.h"
#include "base/error.h"
#include "base/file.h"
#include "config/settings.h"

namespace {

using namespace trailer;
using namespace trailer::config;
using std::filesystem::path;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// Each test has a directory of its own, and XDG variables that point into it.
class ConfigTest : public testing::Test {
  protected:
    void SetUp() override {
        directory_ = path(testing::TempDir()) / ("config-" + to_hex(random_bytes(6)));
        std::filesystem::create_directories(directory_);
        ::setenv("XDG_CONFIG_HOME", (directory_ / "xdg-config").c_str(), 1);
        ::setenv("XDG_STATE_HOME", (directory_ / "xdg-state").c_str(), 1);
        ::setenv("HOME", (directory_ / "home").c_str(), 1);
    }
    void TearDown() override { std::filesystem::remove_all(directory_); }

    path write(const std::string& text) const {
        const auto file = directory_ / "a.yml";
        write_file_atomically(file, text, 0600);
        return file;
    }

    // The message with which load refuses.
    static std::string refusal(const std::optional<path>& file, const Overrides& overrides = {},
                               Role role = Role::agent) {
        try {
            load(file, overrides, role);
        } catch (const Error& e) {
            EXPECT_EQ(e.kind(), ErrorKind::invalid);
            return e.what();
        }
        ADD_FAILURE() << "was not refused";
        return {};
    }

    path directory_;
};

TEST_F(ConfigTest, TheTableIsTheProductsFlagTable) {
    std::string table;
    for (const auto& setting : settings()) {
        if (!setting.is_flag()) continue;
        table +=
            fmt::format("{} {} {}\n", setting.flag,
                        setting.short_name == 0 ? '-' : setting.short_name, setting.default_text);
    }
    EXPECT_EQ(table,
              "config-file C $XDG_CONFIG_HOME/trailer.dev/config.yml\n"
              "server-url S http://localhost:8090\n"
              "deployment-name D the host name\n"
              "build-directory b /tmp\n"
              "delete-build-context-after-build B true\n"
              "data-directory d trailer_data\n"
              "workspace-domain - none\n"
              "audit-retention-days - 90\n"
              "log-directory - $XDG_STATE_HOME/trailer.dev\n"
              "log-max-size - 10485760\n"
              "runtime - docker\n"
              "docker-host - unix:///var/run/docker.sock\n"
              "state-directory - $XDG_STATE_HOME/trailer.dev\n");
}

TEST_F(ConfigTest, TheHostsBoundsAreKeysOfTheFileAlone) {
    for (const auto* flag : {"allow-privileged", "allowed-bind-roots", "allow-host-network",
                             "allowed-devices", "allowed-capabilities", "allowed-parents"}) {
        EXPECT_EQ(find_flag(flag), nullptr) << flag;
        EXPECT_THAT(refusal(directory_ / "a.yml", {{flag, "true"}}), HasSubstr(flag));
    }
    const auto file = write(
        "allow_privileged: true\nallowed_bind_roots: [/srv, /data]\nallow_host_network: true\n"
        "allowed_devices: [/dev/kvm]\nallowed_capabilities: [NET_ADMIN]\n"
        "allowed_parents: [eth1]\n");
    const auto config = load(file, {}, Role::agent);
    EXPECT_EQ(config.bounds,
              (HostBounds{true, {"/srv", "/data"}, true, {"/dev/kvm"}, {"NET_ADMIN"}, {"eth1"}}));
    EXPECT_EQ(HostBounds().allowed_parents, std::vector<std::string>{"*"});
    EXPECT_THAT(load(write("allowed_parents: []\n"), {}, Role::agent).bounds.allowed_parents,
                testing::IsEmpty());
    EXPECT_THAT(refusal(write("allowed_parents: [eth/0]\n"), {}), HasSubstr("is no interface"));
}

TEST_F(ConfigTest, PoolsForNetworksAreCheckedAndTheirFaultsNamed) {
    const auto config = load(write("network_pools: [10.9.0.0/16, \"fd12:3456::/48\"]\n"
                                   "network_pool_prefix: 27\n"),
                             {}, Role::agent);
    EXPECT_THAT(config.bounds.network_pools, testing::ElementsAre("10.9.0.0/16", "fd12:3456::/48"));
    EXPECT_EQ(config.bounds.network_pool_prefix, 27);
    EXPECT_THAT(load(write("network_pools: []\n"), {}, Role::agent).bounds.network_pools,
                testing::IsEmpty());
    for (const auto* bad : {"10.9.0.1/16", "10.9.0.0", "10.0.0.0/7", "10.9.0.0/30", "fd00::/96",
                            "fd00::1/64", "everything"}) {
        EXPECT_THAT(refusal(write(fmt::format("network_pools: [\"{}\"]\n", bad)), {}),
                    testing::AllOf(HasSubstr("network_pools"), HasSubstr(bad)))
            << bad;
    }
    EXPECT_THAT(refusal(write("audit_retention_days: 0\n"), {}), HasSubstr("from 1 to 3650"));
    EXPECT_THAT(refusal(write("network_pool_prefix: 30\n"), {}), HasSubstr("from 16 to 29"));
    EXPECT_THAT(refusal(write("network_pool_prefix: small\n"), {}), HasSubstr("a whole number"));
}

TEST_F(ConfigTest, TheWorkspacesDomainIsOne) {
    EXPECT_EQ(load(write("workspace_domain: ws.example.org\n"), {}, Role::server).workspace_domain,
              "ws.example.org");
    for (const auto* bad :
         {"*.example.org", "Example.org", ".org", "a..b", "ws.", "-a.org", "a b"}) {
        EXPECT_THAT(refusal(write(fmt::format("workspace_domain: \"{}\"\n", bad)), {}),
                    testing::AllOf(HasSubstr("workspace_domain"), HasSubstr("ws.example.org")))
            << bad;
    }
}

TEST_F(ConfigTest, DefaultsAreTheProducts) {
    const auto config = load(std::nullopt, {}, Role::agent);
    char host[256] = {};
    ASSERT_EQ(::gethostname(host, sizeof host - 1), 0);
    Config expected;
    expected.deployment_name = host;
    expected.log_directory = directory_ / "xdg-state/trailer.dev";
    expected.state_directory = directory_ / "xdg-state/trailer.dev";
    EXPECT_EQ(config, expected);
}

TEST_F(ConfigTest, FlagsWinOverTheFileAndTheFileOverTheDefaults) {
    const auto file = write(
        "deployment_name: from-the-file\nlog_max_size: 99999\n"
        "delete_build_context_after_build: false\n");
    const auto config =
        load(file, {{"deployment-name", "from-the-flag"}, {"docker-host", "tcp://10.0.0.1:2375"}},
             Role::agent);
    EXPECT_EQ(config.deployment_name, "from-the-flag");
    EXPECT_EQ(config.log_max_size, 99999);
    EXPECT_FALSE(config.delete_build_context_after_build);
    EXPECT_EQ(config.docker_host, "tcp://10.0.0.1:2375");
    EXPECT_EQ(config.build_directory, "/tmp");
}

TEST_F(ConfigTest, NoEnvironmentVariableBindsASetting) {
    for (const auto& setting : settings()) {
        auto name = setting.key();
        std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::toupper(c); });
        ::setenv(name.c_str(), "http://from.the.environment", 1);
        ::setenv(("TRAILER_" + name).c_str(), "http://from.the.environment", 1);
    }
    const auto with = load(directory_ / "a.yml", {}, Role::agent);
    for (const auto& setting : settings()) {
        auto name = setting.key();
        std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::toupper(c); });
        ::unsetenv(name.c_str());
        ::unsetenv(("TRAILER_" + name).c_str());
    }
    EXPECT_EQ(with, load(directory_ / "b.yml", {}, Role::agent));
}

TEST_F(ConfigTest, AMissingFileIsCreatedWithTheValuesInForce) {
    const auto file = directory_ / "new" / "a.yml";
    const auto config =
        load(file, {{"server-url", "http://127.0.0.1:9000"}, {"deployment-name", "host-1"}},
             Role::agent);
    struct stat status{};
    ASSERT_EQ(::stat(file.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0600U);
    const auto text = read_file(file);
    for (const auto* line :
         {"\nserver_url: http://127.0.0.1:9000\n", "\ndeployment_name: host-1\n",
          "\nbuild_directory: /tmp\n", "\ndelete_build_context_after_build: true\n",
          "\nlog_max_size: 10485760\n", "\nruntime: docker\n", "\nallow_privileged: false\n",
          "\nallowed_bind_roots: []\n", "\n# Where images are built. Default: /tmp.\n"}) {
        EXPECT_THAT(text, HasSubstr(line));
    }
    EXPECT_THAT(text, Not(HasSubstr("data_directory")));
    EXPECT_EQ(load(file, {}, Role::agent), config);
}

TEST_F(ConfigTest, TheFileOfEachRoleHoldsTheKeysThatItUses) {
    load(directory_ / "server.yml", {}, Role::server);
    load(directory_ / "both.yml", {}, Role::standalone);
    const auto server = read_file(directory_ / "server.yml");
    EXPECT_THAT(server, HasSubstr("\ndata_directory: trailer_data\n"));
    EXPECT_THAT(server, Not(HasSubstr("docker_host")));
    const auto both = read_file(directory_ / "both.yml");
    EXPECT_THAT(both, HasSubstr("\ndata_directory: trailer_data\n"));
    EXPECT_THAT(both, HasSubstr("\ndocker_host: unix:///var/run/docker.sock\n"));
}

TEST_F(ConfigTest, OneFileServesEveryRole) {
    const auto file = write("data_directory: /var/lib/t\ndocker_host: tcp://h:2375\n");
    EXPECT_EQ(load(file, {}, Role::agent).data_directory, "/var/lib/t");
    EXPECT_EQ(load(file, {}, Role::server).docker_host, "tcp://h:2375");
}

TEST_F(ConfigTest, TheDefaultFileIsUnderXdgConfigHomeOrTheHomeDirectory) {
    load(std::nullopt, {}, Role::agent);
    EXPECT_TRUE(std::filesystem::exists(directory_ / "xdg-config/trailer.dev/config.yml"));
    ::unsetenv("XDG_CONFIG_HOME");
    ::setenv("XDG_STATE_HOME", "not/absolute", 1);
    EXPECT_EQ(default_config_file(), directory_ / "home/.config/trailer.dev/config.yml");
    EXPECT_EQ(state_directory(), directory_ / "home/.local/state/trailer.dev");
}

TEST_F(ConfigTest, AnExistingFileIsNotRewritten) {
    const auto file = write("# mine\nlog_max_size: 70000\n");
    load(file, {{"log-max-size", "80000"}}, Role::agent);
    EXPECT_EQ(read_file(file), "# mine\nlog_max_size: 70000\n");
}

TEST_F(ConfigTest, AnEmptyFileMeansTheDefaults) {
    EXPECT_EQ(load(write("# nothing\n"), {}, Role::agent).server_url, "http://localhost:8090");
}

TEST_F(ConfigTest, AnUnknownKeyIsRefusedWithItsPlaceAndTheKnownOnes) {
    const auto file = write("deployment_name: x\nserver_urll: http://x\n");
    const auto text = refusal(file);
    EXPECT_THAT(text,
                StartsWith(file.string() + ":2:1: unknown key `server_urll`; expected one of: "
                                           "server_url, deployment_name, "));
    EXPECT_THAT(text, Not(HasSubstr("config_file")));
}

TEST_F(ConfigTest, AWrongTypeIsRefusedWithItsPlace) {
    const auto file = write("\nlog_max_size: plenty\n");
    EXPECT_EQ(refusal(file),
              file.string() + ":2:1: `log_max_size` must be a whole number, found text");
    write("deployment_name: 42\n");
    EXPECT_EQ(refusal(file), file.string() +
                                 ":1:1: `deployment_name` must be text, found a number; write it "
                                 "in quotes");
    write("allow_privileged: yes\n");
    EXPECT_THAT(refusal(file), HasSubstr(":1:1: `allow_privileged` must be true or false"));
    write("allowed_devices: /dev/kvm\n");
    EXPECT_THAT(refusal(file), HasSubstr("must be a list of text, found text"));
    write("log_max_size: 1.5\n");
    EXPECT_THAT(refusal(file), HasSubstr("must be a whole number"));
}

TEST_F(ConfigTest, AMalformedFileIsRefusedWithItsPlace) {
    const auto file = write("a: [1\n");
    EXPECT_THAT(refusal(file), testing::MatchesRegex(".*a\\.yml:[0-9]+:[0-9]+: .+"));
    write("runtime: docker\nruntime: docker\n");
    EXPECT_THAT(refusal(file), StartsWith(file.string() + ":2:1: "));
    write("- a\n");
    EXPECT_THAT(refusal(file), HasSubstr("expected lines of the form `key: value`, found a list"));
    write("runtime: docker\n---\nruntime: docker\n");
    EXPECT_THAT(refusal(file), StartsWith(file.string() + ":3:1: expected one document"));
}

TEST_F(ConfigTest, AWrongValueOfTheFileIsRefusedWithItsPlace) {
    const auto file = write("runtime: docker\nlog_max_size: 65535\n");
    EXPECT_EQ(refusal(file), file.string() + ":2:1: `log_max_size`: must be at least 65536");
    write("allowed_bind_roots: [srv]\n");
    EXPECT_THAT(refusal(file), HasSubstr("`srv` is no absolute path"));
    write("allowed_bind_roots: [/srv/../etc]\n");
    EXPECT_THAT(refusal(file), HasSubstr("'..'"));
}

TEST_F(ConfigTest, AWrongValueOfAFlagIsRefusedByTheFlagsName) {
    const auto flag = [&](const char* name, const char* value) {
        return refusal(directory_ / "never.yml", {{name, value}});
    };
    EXPECT_EQ(flag("log-max-size", "10k"), "--log-max-size: expected a whole number, found `10k`");
    EXPECT_EQ(flag("delete-build-context-after-build", "maybe"),
              "--delete-build-context-after-build: expected true or false, found `maybe`");
    EXPECT_THAT(flag("runtime", "podman"), HasSubstr("expected docker"));
    EXPECT_THAT(flag("build-directory", ""), HasSubstr("must not be empty"));
    EXPECT_THAT(flag("build-directory", "~/builds"), HasSubstr("not expanded"));
    EXPECT_THAT(flag("deployment-name", ""), HasSubstr("must not be empty"));
    EXPECT_THAT(flag("no-such-flag", "1"), HasSubstr("no such setting"));
    EXPECT_FALSE(std::filesystem::exists(directory_ / "never.yml"));
}

TEST_F(ConfigTest, ServerUrlsAreCheckedWithoutShowingWhatMayBeAPassword) {
    const auto server = [&](const char* url) {
        return refusal(directory_ / "a.yml", {{"server-url", url}});
    };
    for (const auto* url : {"localhost:8090", "ftp://x", "http://", "http://h:0", "http://h:65536",
                            "http://h:x", "http://[::1", "http://h?x", "http://a b", "tcp://h:1"}) {
        EXPECT_THAT(server(url), HasSubstr("expected http://HOST:PORT")) << url;
    }
    EXPECT_THAT(server("http://user:hunter2@h"), Not(HasSubstr("hunter2")));
    for (const auto* url : {"http://h", "https://h.example:443", "http://[::1]:8090",
                            "http://127.0.0.1:8090/", "https://h/prefix"}) {
        EXPECT_EQ(load(directory_ / "a.yml", {{"server-url", url}}, Role::agent).server_url, url);
    }
}

TEST_F(ConfigTest, DockerHostsAreUnixOrTcp) {
    const auto docker = [&](const std::string& host) {
        return refusal(directory_ / "a.yml", {{"docker-host", host}});
    };
    for (const auto* host : {"/var/run/docker.sock", "unix://", "unix://x", "unix:///", "tcp://",
                             "tcp://h", "http://h:1", "ssh://h"}) {
        EXPECT_THAT(docker(host), HasSubstr("expected unix:///PATH or tcp://HOST:PORT")) << host;
    }
    EXPECT_THAT(docker("unix:///" + std::string(107, 'x')), HasSubstr("107"));
}

TEST_F(ConfigTest, ANamedFileThatCanNotBeMadeIsAnErrorAndTheDefaultOneIsNot) {
    ::setenv("XDG_CONFIG_HOME", "/proc/trailer-test", 1);
    EXPECT_NO_THROW(load(std::nullopt, {}, Role::agent));
    EXPECT_THROW(load("/proc/trailer-test/x.yml", {}, Role::agent), Error);
}

}  // namespace
