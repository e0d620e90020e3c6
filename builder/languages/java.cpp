// Java, Kotlin, Scala: pom.xml, build.gradle, build.sbt, a jar, or sources with a main().
//   build    the wrapper (mvnw, gradlew) if it is there, else Maven; Gradle has to bring its
//            wrapper, sbt is fetched. Tests are not run. CC_BUILD_COMMAND replaces it. Sources
//            without a build tool are compiled by javac, with the jars of lib/.
//   program  CC_JAR_PATH, Quarkus' runner, what Gradle's `application` or sbt's `stage` installs,
//            else the only jar or war with a main class, of several the one with everything in it.
//            /app/.karreg/start starts it with JAVA_OPTS.
#include <algorithm>
#include <array>

#include "builder/languages/table.hpp"
#include "builder/manifest.hpp"
#include "builder/shell_line.hpp"

namespace karreg::builder::languages_of {
namespace {

constexpr std::array variables = {
    Variable{"CC_JAVA_VERSION", "versions.java", "the version of Java: `21`, `17`"},
    Variable{"CC_JAR_PATH", "java.jar", "the jar to start, or a pattern: `target/shop-*.jar`"},
    Variable{"CC_JAR_ARGS", "java.arguments", "arguments of the program"},
    Variable{"CC_EXTRA_JAVA_ARGS", "java.options", "options of the virtual machine: `-Xmx200m`"},
    Variable{"MAVEN_BUILD_GOAL", "java.maven-goal", "Maven's goals, in the place of `package`"},
    Variable{"CC_MAVEN_PROFILES", "java.maven-profiles",
             "profiles of Maven, with commas between them"},
    Variable{"GRADLE_BUILD_GOAL", "java.gradle-goal",
             "Gradle's tasks, in the place of the usual ones"},
    Variable{"CC_SBT_TARGET_DIR", "java.sbt-folder",
             "the folder of the build: its target/universal/stage is taken"},
    Variable{"CC_SBT_TARGET_BIN", "java.sbt-program", "the program of target/universal/stage/bin"},
};

constexpr const char* program = "/app/.karreg/start";

/// Shell: what starts the jar $jar. A script, for JAVA_OPTS is read when it starts.
constexpr std::string_view start_jar = R"sh(mkdir -p /app/.karreg
printf '#!/bin/sh\nset -f\nexec java ${JAVA_OPTS:-} ${CC_EXTRA_JAVA_ARGS:-} -jar %q ${CC_JAR_ARGS:-}\n' "$jar" > /app/.karreg/start
chmod +x /app/.karreg/start
echo "The app is $jar")sh";

/// Shell: what starts $program, a script of Gradle or sbt.
constexpr std::string_view start_program = R"sh(mkdir -p /app/.karreg
printf '#!/bin/sh\nset -f\n[ -z "${CC_EXTRA_JAVA_ARGS:-}" ] || export JAVA_OPTS="${JAVA_OPTS:-} $CC_EXTRA_JAVA_ARGS"\nexec %q ${CC_JAR_ARGS:-}\n' "$program" > /app/.karreg/start
chmod +x /app/.karreg/start
echo "The app is the program $program")sh";

/// Shell: the jars that the build made, without those of dependencies in folders beside them.
constexpr std::string_view made = R"sh(made() {
  find /app -maxdepth 5 \( -name '*.jar' -o -name '*.war' \) \
    \( -path '*/target/*' -not -path '*/target/*/*' -o -path '*/target/scala-*/*' -not -path '*/target/scala-*/*/*' \
      -o -path '*/build/libs/*' -not -path '*/build/libs/*/*' \) | sort
}
)sh";

/// Shell: sets $jar to the jar that can be started, or ends the step with $program's script.
constexpr std::string_view find_jar =
    R"sh(jar=$(find /app -path '*/quarkus-app/quarkus-run.jar' -not -path '*/node_modules/*' | sort | head -n 1)
if [ -z "$jar" ]; then
  jars= full=
  while read -r each; do
    case $each in '' | *-sources.jar | *-javadoc.jar | *-tests.jar | *-plain.jar | *-plain.war | */original-*.jar) continue ;; esac
    unzip -p "$each" META-INF/MANIFEST.MF 2>/dev/null | grep '^Main-Class:' >/dev/null || continue
    jars="$jars$each"$'\n'
    case $each in *-all.jar | *-jar-with-dependencies.jar | *-shaded.jar | *-fat.jar | *-uber.jar | *-runner.jar | *-assembly-*.jar | *-assembly.jar)
      full="$full$each"$'\n' ;;
    esac
  done <<< "$(made)"
  # Of a jar and one with its dependencies inside, the second starts.
  if [ "$(printf %s "$full" | wc -l)" = 1 ]; then jars=$full; fi
  if [ "$(printf %s "$jars" | wc -l)" -gt 1 ]; then
    echo "The build made several jars with a main class: $(printf %s "$jars" | paste -sd ' '). Choose one with CC_JAR_PATH." >&2
    exit 1
  fi
  jar=${jars%$'\n'}
fi
if [ -z "$jar" ]; then
  there=$(made | paste -sd ' ')
  echo "The build made no jar with a main class. There is: ${there:-none}." >&2
  echo "A war needs a server of its own, which is not part of the image. Set CC_JAR_PATH, or CC_RUN_COMMAND." >&2
  exit 1
fi
)sh";

/// Shell: $program from the list $programs, of which one is meant, when it is not empty.
constexpr std::string_view the_program = R"sh(if [ "$(echo "$programs" | wc -l)" != 1 ]; then
  echo "The build made several programs: $(echo "$programs" | paste -sd ' '). Choose one with CC_RUN_COMMAND, or build one with GRADLE_BUILD_GOAL=:part:installDist." >&2
  exit 1
fi
program=$programs
)sh";

std::vector<std::string> jars_in_root(const SourceTree& tree) {
  std::vector<std::string> jars;
  for (const Entry& entry : tree.list(""))
    if (entry.kind == EntryKind::file && entry.name.ends_with(".jar")) jars.push_back(entry.name);
  return jars;
}

/// CC_JAR_PATH, below the app's folder.
std::optional<Given> jar_path(const Inspection& about) {
  auto given = about.settings.find("CC_JAR_PATH");
  if (given)
    if (auto path =
            path_inside(given->value.starts_with("/app/") ? given->value.substr(5) : given->value))
      given->value = std::move(*path);
  return given;
}

/// A class of the sources that has a main(): "shop.Main".
struct MainClass {
  std::string folder;  ///< "src", or "" for the root
  std::string file;    ///< "src/shop/Main.java"
  std::string name;
};

/// The class of @p text when it has a main(): its package and @p stem.
std::optional<std::string> class_with_main(const std::string& text, const std::string& stem) {
  bool has_main = false;
  std::string package;
  std::string_view rest = text;
  while (!rest.empty()) {
    const auto end = rest.find('\n');
    const std::string line = trimmed(rest.substr(0, end));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (line.starts_with("package "))
      package = trimmed(std::string_view(line).substr(8, line.find(';') - 8)) + ".";
    has_main = has_main || (line.find("void main(") != std::string::npos &&
                            line.find("static ") != std::string::npos);
  }
  if (!has_main) return std::nullopt;
  return package + stem;
}

/// Looks in @p folder, and @p depth folders deep; at @p budget files and folders at most.
std::optional<MainClass> main_class_in(const SourceTree& tree, const std::string& folder, int depth,
                                       int& budget) {
  if (--budget < 0) return std::nullopt;
  constexpr std::string_view ending = ".java";
  const auto entries = tree.list(folder);
  for (const Entry& entry : entries) {
    if (entry.kind != EntryKind::file || !entry.name.ends_with(ending) || --budget < 0) continue;
    const std::string file = join_path(folder, entry.name);
    if (const auto text = tree.read(file, max_inspected_bytes))
      if (auto name =
              class_with_main(*text, entry.name.substr(0, entry.name.size() - ending.size())))
        return MainClass{folder, file, std::move(*name)};
  }
  if (depth == 0) return std::nullopt;
  for (const Entry& entry : entries)
    if (entry.kind == EntryKind::folder)
      if (auto found = main_class_in(tree, join_path(folder, entry.name), depth - 1, budget))
        return found;
  return std::nullopt;
}

std::optional<MainClass> main_class(const SourceTree& tree) {
  int budget = 500;
  for (const auto& [folder, depth] : {std::pair("", 0), {"src/main/java", 8}, {"src", 8}})
    if (auto found = main_class_in(tree, folder, depth, budget)) {
      found->folder = folder;
      return found;
    }
  return std::nullopt;
}

struct Found {
  std::string tool;  ///< maven, gradle, sbt, jar, javac
  std::string file;
  Evidence evidence = Evidence::manifest;
};

std::optional<Found> tool_of(const Inspection& about) {
  const SourceTree& tree = about.tree;
  for (const char* file : {"pom.xml", "pom.yaml", "pom.groovy", "mvnw"})
    if (tree.has_file(file)) return Found{"maven", file};
  for (const char* file :
       {"build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts", "gradlew"})
    if (tree.has_file(file)) return Found{"gradle", file};
  if (tree.has_file("build.sbt")) return Found{"sbt", "build.sbt"};
  const auto jar = jar_path(about);
  if (jar && tree.has_file(jar->value)) return Found{"jar", jar->value};
  if (jar && about.build_command()) return Found{"jar", jar->origin};
  if (const auto jars = jars_in_root(tree); !jars.empty())
    return Found{"jar", jars.front(), Evidence::sources};
  if (const auto main = main_class(tree)) return Found{"javac", main->file, Evidence::sources};
  return std::nullopt;
}

std::optional<Match> detect(const Inspection& about) {
  const auto found = tool_of(about);
  if (!found) return std::nullopt;
  return Match{found->file, found->evidence};
}

/// The text between @p begin and @p end in @p text; empty: it is not there.
std::string between(const std::string& text, std::string_view begin, std::string_view end) {
  const auto at = text.find(begin);
  if (at == std::string::npos) return "";
  const auto from = at + begin.size();
  const auto to = text.find(end, from);
  return to == std::string::npos ? "" : trimmed(text.substr(from, to - from));
}

/// "1.8" is Java 8.
std::string java_line(std::string version) {
  if (version.starts_with("1.")) version.erase(0, 2);
  return version;
}

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789.") == std::string_view::npos;
}

/// The build files of Gradle: of the root, of its parts, and the catalogue of plugins.
std::string gradle_files(const SourceTree& tree) {
  std::string all;
  const auto add = [&](const std::string& file) {
    if (const auto text = tree.read(file, max_inspected_bytes)) all += *text + "\n";
  };
  for (const char* file : {"build.gradle", "build.gradle.kts"}) {
    add(file);
    for (const Entry& entry : tree.list(""))
      if (entry.kind == EntryKind::folder) add(join_path(entry.name, file));
  }
  add("gradle/libs.versions.toml");
  return all;
}

bool has_line(std::string_view text, std::string_view wanted) {
  while (!text.empty()) {
    const auto end = text.find('\n');
    if (trimmed(text.substr(0, end)) == wanted) return true;
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return false;
}

std::optional<VersionWish> version_wish(const SourceTree& tree, const Found& found) {
  if (const auto text = tree.read("system.properties", max_inspected_bytes)) {
    const std::string version = between(*text + "\n", "java.runtime.version=", "\n");
    if (!version.empty()) return VersionWish{java_line(version), "system.properties"};
  }
  if (const std::string line = first_line(tree, ".java-version"); is_number(line))
    return VersionWish{java_line(line), ".java-version"};
  if (found.tool == "maven") {
    const auto text = tree.read("pom.xml", max_inspected_bytes);
    // What is compiled for an older one runs on a newer one.
    for (const std::string_view begin :
         {"<java.version>", "<maven.compiler.release>", "<maven.compiler.target>"})
      if (const std::string version = text ? java_line(between(*text, begin, "<")) : "";
          is_number(version))
        return VersionWish{">=" + version, "pom.xml"};
  }
  if (found.tool == "gradle") {
    // A toolchain is exactly that one.
    const std::string text = gradle_files(tree);
    for (const std::string_view begin : {"JavaLanguageVersion.of(", "jvmToolchain("})
      if (const std::string version = java_line(between(text, begin, ")")); is_number(version))
        return VersionWish{version, found.file};
    const char* file = "gradle/wrapper/gradle-wrapper.properties";
    const auto wrapper = tree.read(file, max_inspected_bytes);
    const std::string gradle = wrapper ? between(*wrapper, "/gradle-", "-") : "";
    if (is_number(gradle) && VersionRange::parse("<8.5")->allows(gradle))
      return VersionWish{"<21", "Gradle " + gradle + " of " + file};
  }
  return std::nullopt;
}

void add_maven(LanguagePlan& plan, const Inspection& about) {
  const bool wrapper =
      about.tree.has_file("mvnw") && about.tree.has_file(".mvn/wrapper/maven-wrapper.properties");
  const auto goal = about.settings.find("MAVEN_BUILD_GOAL");
  std::string command = std::string(wrapper ? "sh ./mvnw" : "mvn") + " --batch-mode -DskipTests";
  if (const auto profiles = about.settings.find("CC_MAVEN_PROFILES"))
    command += " -P " + shell_quote(profiles->value);
  command += " " + (goal ? goal->value : std::string("package"));
  plan.step("build",
            "export MAVEN_OPTS=\"-Dmaven.repo.local=/cache/m2 ${MAVEN_OPTS:-}\" "
            "MAVEN_USER_HOME=/cache/m2-home\n" +
                command);
  plan.reason("Build: " + command + (goal ? " (" + goal->origin + ")." : "."));
}

void add_gradle(LanguagePlan& plan, const Inspection& about) {
  std::string tasks = "assemble", why;
  const std::string text = gradle_files(about.tree);
  const auto says = [&](std::string_view word) { return text.find(word) != std::string::npos; };
  if (const auto goal = about.settings.find("GRADLE_BUILD_GOAL")) {
    tasks = goal->value;
    why = " (" + goal->origin + ")";
  } else if (says("org.springframework.boot")) {
    tasks = "bootJar";
    why = " (Spring Boot)";
  } else if (says("io.quarkus")) {
    tasks = "quarkusBuild";
    why = " (Quarkus)";
  } else if (says("'application'") || says("\"application\"") || says("mainClass") ||
             has_line(text, "application") || has_line(text, "application {")) {
    tasks = "installDist";
    why = " (the plugin application)";
  } else if (says(".shadow\"") || says(".shadow'")) {
    tasks = "shadowJar";
    why = " (the plugin shadow)";
  }
  const std::string command = "sh ./gradlew --no-daemon --console=plain " + tasks;
  plan.step("build", "export GRADLE_USER_HOME=/cache/gradle\n" + command);
  plan.reason("Build: " + command + why + ".");
  if (!plan.problem.empty()) return;
  constexpr const char* jar = "gradle/wrapper/gradle-wrapper.jar";
  if (!about.tree.has_file("gradlew"))
    plan.problem =
        "There is no gradlew: a Gradle build brings its own Gradle. Run `gradle wrapper`, and "
        "commit what it makes.";
  else if (!about.tree.has_file(jar))
    plan.problem = std::string("gradlew needs ") + jar +
                   ", which is not in the repository; often .gitignore has *.jar. Add it: git add "
                   "-f " +
                   jar;
}

/// What makes the program of an sbt build: `stage` or `assembly`; empty: no plugin does.
std::string sbt_task(const SourceTree& tree) {
  std::string text;
  for (const Entry& entry : tree.list("project"))
    if (entry.name.ends_with(".sbt"))
      if (const auto read = tree.read(join_path("project", entry.name), max_inspected_bytes))
        text += *read;
  for (const std::string_view plugin : {"sbt-native-packager", "\"sbt-plugin\"", "sbt-play"})
    if (text.find(plugin) != std::string::npos) return "stage";
  return text.find("sbt-assembly") == std::string::npos ? "" : "assembly";
}

/// The version of sbt is the one that project/build.properties names.
void add_sbt(LanguagePlan& plan, const Inspection& about, const std::string& task) {
  std::string version = "1.10.7";
  if (const auto text = about.tree.read("project/build.properties", max_inspected_bytes))
    if (const std::string said = between(*text + "\n", "sbt.version=", "\n"); !said.empty())
      version = said;
  std::string own;
  for (const char* script : {"sbtx", "sbt"})
    if (about.tree.has_file(script)) own = script;
  if (!own.empty())
    plan.step("build", "bash ./" + own + " " + task);
  else
    plan.step("build",
              "mvn --batch-mode --quiet -Dmaven.repo.local=/cache/m2 dependency:copy "
              "-DoutputDirectory=/tmp/sbt -Dmdep.stripVersion=true -Dartifact=" +
                  shell_quote("org.scala-sbt:sbt-launch:" + version) +
                  "\njava -Xss4m -Dsbt.global.base=/cache/sbt -Dsbt.ivy.home=/cache/ivy2 "
                  "-Dsbt.coursier.home=/cache/coursier -jar /tmp/sbt/sbt-launch.jar " +
                  task);
  plan.reason("Build: sbt " + task +
              (own.empty() ? " (sbt " + version + ")." : " (the script " + own + ")."));
}

void sbt_program(LanguagePlan& plan, const Inspection& about) {
  const std::string below =
      path_inside(about.settings.variable("CC_SBT_TARGET_DIR").value_or("")).value_or("");
  const std::string folder = join_path("/app", join_path(below, "target/universal/stage/bin"));
  const std::string wanted = about.settings.variable("CC_SBT_TARGET_BIN").value_or("");
  const std::string name =
      " -type f -name " + shell_quote(wanted.empty() ? "*" : wanted) + " -not -name '*.bat'";
  plan.step("executable",
            "folder=" + shell_quote(folder) +
                "\n"
                "programs=\n"
                "if [ -d \"$folder\" ]; then programs=$(find \"$folder\"" +
                name + " | sort); fi\n" +
                (below.empty() ? "if [ -z \"$programs\" ]; then programs=$(find /app -path "
                                 "'*/target/universal/stage/bin/*'" +
                                     name + " | sort); fi\n"
                               : std::string()) +
                "if [ -z \"$programs\" ]; then\n"
                "  echo \"sbt made no program" +
                (wanted.empty() ? "" : " of the name of CC_SBT_TARGET_BIN") +
                " in $folder.\" >&2\n"
                "  exit 1\n"
                "fi\n"
                "if [ \"$(echo \"$programs\" | wc -l)\" != 1 ]; then\n"
                "  echo \"sbt made several programs: $(echo \"$programs\" | paste -sd ' '). Choose "
                "one with CC_SBT_TARGET_BIN.\" >&2\n"
                "  exit 1\n"
                "fi\n"
                "program=$programs\n" +
                std::string(start_program));
}

void add_javac(LanguagePlan& plan, const Inspection& about) {
  const MainClass main = *main_class(about.tree);
  const std::string folder = join_path("/app", main.folder);
  // The folder itself is there for what lies beside the classes: templates, properties.
  const std::string path = "/app/.karreg/classes:" + folder +
                           (about.tree.has_folder("lib") ? std::string(":/app/lib/*") : "");
  plan.step("build",
            "mkdir -p /app/.karreg/classes\n"
            "find " +
                folder +
                " -name '*.java' -not -path '*/.karreg/*' -printf '\"%p\"\\n' > "
                "/tmp/sources\n"
                "javac -d /app/.karreg/classes -cp " +
                shell_quote(path) + " @/tmp/sources");
  plan.reason("Build: javac, all sources of " + folder + ".");
  plan.step("executable",
            "cat > /app/.karreg/start <<'KARREG_END'\n"
            "#!/bin/sh\n"
            "set -f\n"
            "exec java ${JAVA_OPTS:-} ${CC_EXTRA_JAVA_ARGS:-} -cp " +
                shell_quote(path) + " " + shell_quote(main.name) +
                " ${CC_JAR_ARGS:-}\n"
                "KARREG_END\n"
                "chmod +x /app/.karreg/start");
  plan.start = Start{{program}, "java " + main.name + " (" + main.file + ")"};
}

/// Starts the jar at @p path, which may be a pattern.
void given_jar(LanguagePlan& plan, const std::string& path, const std::string& origin) {
  plan.step("executable", std::string(made) + "jar=$(compgen -G " + shell_quote("/app/" + path) +
                              " || true)\n"
                              "if [ ! -f \"$jar\" ]; then\n"
                              "  echo " +
                              shell_quote(path + " (" + origin + ") is not one file.") +
                              " \"There is: ${jar:-$(made)}\" >&2\n"
                              "  exit 1\n"
                              "fi\n" +
                              std::string(start_jar));
  plan.start = Start{{program}, "java -jar " + path + " (" + origin + ")"};
}

/// The program of what Maven, Gradle or `sbt assembly` made.
void find_program(LanguagePlan& plan) {
  plan.step("executable",
            std::string(made) +
                "programs=$(find /app -path '*/build/install/*/bin/*' -type f -not -name '*.bat' "
                "| sort)\n"
                "if [ -n \"$programs\" ]; then\n" +
                std::string(the_program) + std::string(start_program) + "\nexit 0\nfi\n" +
                std::string(find_jar) + std::string(start_jar));
  plan.start =
      Start{{program}, "what " + plan.tool + " makes (CC_JAR_PATH chooses among several jars)"};
}

/// Variables that a file of the repository gives, and that are read when the app starts.
void keep_arguments(LanguagePlan& plan, const Inspection& about) {
  for (const char* name : {"CC_JAR_ARGS", "CC_EXTRA_JAVA_ARGS"})
    if (const auto given = about.settings.find(name); given && given->origin != name)
      plan.env[name] = given->value;
  for (const char* name : {"MAVEN_DEPLOY_GOAL", "GRADLE_DEPLOY_GOAL", "SBT_DEPLOY_GOAL"})
    if (const auto given = about.settings.find(name))
      plan.reason(given->origin + "=" + given->value +
                  " is not used: build tools are not there when the app runs. CC_JAR_PATH or "
                  "CC_RUN_COMMAND says what starts.");
}

Result<LanguagePlan> plan(const Inspection& about) {
  const Found found = *tool_of(about);
  LanguagePlan result;
  result.tool = found.tool;
  choose_version(result, about, "java", "Java", "CC_JAVA_VERSION", version_wish(about.tree, found));
  // Where the frameworks listen; each knows its own and passes over the others'.
  result.env = {{"SERVER_PORT", "8080"},
                {"QUARKUS_HTTP_HOST", "0.0.0.0"},
                {"QUARKUS_HTTP_PORT", "8080"},
                {"MICRONAUT_SERVER_PORT", "8080"},
                {"PLAY_HTTP_PORT", "8080"}};
  keep_arguments(result, about);
  const auto jar = jar_path(about);
  const bool own_build = replace_build(result, about, "CC_JAR_PATH or CC_RUN_COMMAND");
  if (own_build && !jar) return result;
  std::string task;
  if (own_build) {
    // the owner's build makes the jar
  } else if (found.tool == "maven") {
    add_maven(result, about);
  } else if (found.tool == "gradle") {
    add_gradle(result, about);
  } else if (found.tool == "sbt") {
    task = sbt_task(about.tree);
    add_sbt(result, about, task.empty() ? "stage" : task);
  } else if (found.tool == "javac" && !jar) {
    add_javac(result, about);
  }
  if (about.start) return result;
  if (jar) {
    given_jar(result, jar->value, jar->origin);
  } else if (found.tool == "jar") {
    const auto jars = jars_in_root(about.tree);
    given_jar(result, jars.front(), "the file is there");
    std::string all;
    for (const std::string& each : jars) all += (all.empty() ? "" : ", ") + each;
    if (jars.size() > 1)
      result.start = Error(ErrorKind::invalid,
                           "There are several jars: " + all + ". Choose one with CC_JAR_PATH.");
  } else if (found.tool == "sbt" && task.empty()) {
    result.start =
        Error(ErrorKind::invalid,
              "No plugin in project/ makes a program of this sbt build: add sbt-native-packager "
              "(or sbt-assembly) to project/plugins.sbt, or set CC_BUILD_COMMAND and CC_JAR_PATH.");
  } else if (found.tool == "sbt" && task == "stage") {
    sbt_program(result, about);
    result.start = Start{{program}, "the program that sbt stage makes"};
  } else if (found.tool != "javac") {
    find_program(result);
  }
  return result;
}

}  // namespace

Language java() {
  return {"java",    "Java", "pom.xml, build.gradle, build.sbt, a jar, or sources with a main()",
          variables, detect, plan};
}

}  // namespace karreg::builder::languages_of
