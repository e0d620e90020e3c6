#include "a_tree.hpp"

using namespace karreg;
using namespace karreg::builder;

namespace {

const std::string main_class =
    "package shop;\n\npublic class Main {\n  public static void main(String[] a) {}\n}\n";
const Files wrapper = {{"gradlew", ""}, {"gradle/wrapper/gradle-wrapper.jar", ""}};

std::string last_line(const std::string& text) {
  return text.substr(text.rfind('\n') + 1);
}

bool mentions(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

wire::BuildPlan gradle_plan(Files files, const Env& env = {}) {
  files.insert(wrapper.begin(), wrapper.end());
  return plan_of(files, env);
}

}  // namespace

TEST_CASE("a Maven project becomes the jar that can be started") {
  const auto plan = plan_of({{"pom.xml", "<project/>"}});
  CHECK(plan.runtime == "java");
  CHECK(plan.tool == "maven");
  CHECK(step_names(plan) == "build|executable");
  CHECK(command_of(plan, "build") ==
        "export MAVEN_OPTS=\"-Dmaven.repo.local=/cache/m2 ${MAVEN_OPTS:-}\" "
        "MAVEN_USER_HOME=/cache/m2-home\n"
        "mvn --batch-mode -DskipTests package");
  CHECK(mentions(command_of(plan, "executable"), "grep '^Main-Class:'"));
  CHECK(run_of(plan) == "/app/.karreg/start");
  CHECK(plan.output_root == "/app");
  CHECK(plan.problem.empty());
  CHECK(plan.env == Env{{"SERVER_PORT", "8080"},
                        {"QUARKUS_HTTP_HOST", "0.0.0.0"},
                        {"QUARKUS_HTTP_PORT", "8080"},
                        {"MICRONAUT_SERVER_PORT", "8080"},
                        {"PLAY_HTTP_PORT", "8080"}});
  CHECK(plan.reasons.front() == "Detected Java (pom.xml).");
  CHECK(gives_reason(plan, "Start: what maven makes (CC_JAR_PATH chooses among several jars)."));
}

TEST_CASE("java: Maven's wrapper, goals and profiles") {
  const Files files = {{"pom.xml", ""}, {"mvnw", ""}};
  const auto maven = [](const Files& files, const Env& env) {
    return last_line(command_of(plan_of(files, env), "build"));
  };
  CHECK(maven(files, {}) == "mvn --batch-mode -DskipTests package");
  Files with_wrapper = files;
  with_wrapper[".mvn/wrapper/maven-wrapper.properties"] = "";
  CHECK(maven(with_wrapper, {}) == "sh ./mvnw --batch-mode -DskipTests package");
  CHECK(maven(files, {{"MAVEN_BUILD_GOAL", "clean install"}, {"CC_MAVEN_PROFILES", "prod,!dev"}}) ==
        "mvn --batch-mode -DskipTests -P 'prod,!dev' clean install");
  CHECK(gives_reason(plan_of(files, {{"MAVEN_BUILD_GOAL", "verify"}}),
                     "Build: mvn --batch-mode -DskipTests verify (MAVEN_BUILD_GOAL)."));
  for (const char* file : {"pom.yaml", "pom.groovy", "mvnw"})
    CHECK(plan_of({{file, ""}}).tool == "maven");
}

TEST_CASE("java: Gradle's tasks follow the plugins, also those of the parts") {
  struct Case {
    std::string name;
    Files files;
    Env env;
    std::string tasks, why;
  };
  const auto c = GENERATE(values<Case>({
      {"none", {{"build.gradle", "plugins { id 'java' }\n"}}, {}, "assemble", ""},
      {"Spring Boot",
       {{"build.gradle.kts", "plugins { id(\"org.springframework.boot\") version \"3.3.0\" }\n"}},
       {},
       "bootJar",
       " (Spring Boot)"},
      {"Quarkus",
       {{"build.gradle", "plugins { id 'io.quarkus' }\n"}},
       {},
       "quarkusBuild",
       " (Quarkus)"},
      {"application",
       {{"build.gradle", "plugins { id 'application' }\n"}},
       {},
       "installDist",
       " (the plugin application)"},
      {"an application written in Kotlin",
       {{"build.gradle.kts", "plugins {\n  kotlin(\"jvm\") version \"2.0.0\"\n  application\n}\n"},
        {"src/main/kotlin/Main.kt", "fun main() {}\n"}},
       {},
       "installDist",
       " (the plugin application)"},
      {"application in Kotlin",
       {{"build.gradle.kts", "plugins {\r\n  application\r\n}\r\n"}},
       {},
       "installDist",
       " (the plugin application)"},
      {"what gradle init makes: the part app",
       {{"settings.gradle", "include('app')\n"},
        {"app/build.gradle", "plugins {\n    id 'application'\n}\n"}},
       {},
       "installDist",
       " (the plugin application)"},
      {"a catalogue of plugins",
       {{"settings.gradle.kts", ""},
        {"web/build.gradle.kts", "plugins { alias(libs.plugins.boot) }\n"},
        {"gradle/libs.versions.toml", "[plugins]\nboot = { id = \"org.springframework.boot\" }\n"}},
       {},
       "bootJar",
       " (Spring Boot)"},
      {"shadow",
       {{"build.gradle.kts", "plugins { id(\"com.gradleup.shadow\") }\n"}},
       {},
       "shadowJar",
       " (the plugin shadow)"},
      {"GRADLE_BUILD_GOAL",
       {{"build.gradle", "plugins { id 'application' }\n"}},
       {{"GRADLE_BUILD_GOAL", ":web:jar -x test"}},
       ":web:jar -x test",
       " (GRADLE_BUILD_GOAL)"},
  }));
  INFO(c.name);
  const auto plan = gradle_plan(c.files, c.env);
  CHECK(plan.tool == "gradle");
  CHECK(plan.problem.empty());
  CHECK(command_of(plan, "build") ==
        "export GRADLE_USER_HOME=/cache/gradle\nsh ./gradlew --no-daemon --console=plain " +
            c.tasks);
  CHECK(gives_reason(plan,
                     "Build: sh ./gradlew --no-daemon --console=plain " + c.tasks + c.why + "."));
  CHECK(step_names(plan) == "build|executable");
}

TEST_CASE("java: Gradle brings its wrapper, all of it") {
  CHECK(plan_of({{"build.gradle", ""}}).problem ==
        "There is no gradlew: a Gradle build brings its own Gradle. Run `gradle wrapper`, and "
        "commit what it makes.");
  CHECK(plan_of({{"build.gradle", ""}, {"gradlew", ""}}).problem ==
        "gradlew needs gradle/wrapper/gradle-wrapper.jar, which is not in the repository; often "
        ".gitignore has *.jar. Add it: git add -f gradle/wrapper/gradle-wrapper.jar");
  CHECK(plan_of({{"build.gradle", ""}}, {{"CC_BUILD_COMMAND", "make"}, {"CC_JAR_PATH", "a.jar"}})
            .problem.empty());
}

TEST_CASE("java: sbt makes its program by stage, or a jar by assembly") {
  const std::string stage = "addSbtPlugin(\"com.github.sbt\" % \"sbt-native-packager\" % \"1.10\")";
  const std::string assembly = "addSbtPlugin(\"com.eed3si9n\" % \"sbt-assembly\" % \"2.2.0\")";
  Files files = {{"build.sbt", ""},
                 {"project/plugins.sbt", stage},
                 {"project/build.properties", "sbt.version = 1\nsbt.version=1.9.7\r\n"}};
  const auto plan = plan_of(files);
  CHECK(plan.tool == "sbt");
  CHECK(step_names(plan) == "build|executable");
  CHECK(mentions(command_of(plan, "build"), "-Dartifact=org.scala-sbt:sbt-launch:1.9.7\n"));
  CHECK(command_of(plan, "build").ends_with(" -jar /tmp/sbt/sbt-launch.jar stage"));
  CHECK(command_of(plan, "executable").starts_with("folder=/app/target/universal/stage/bin\n"));
  CHECK(mentions(command_of(plan, "executable"), "-path '*/target/universal/stage/bin/*'"));
  CHECK(gives_reason(plan, "Build: sbt stage (sbt 1.9.7)."));
  CHECK(gives_reason(plan, "Start: the program that sbt stage makes."));

  const auto chosen =
      plan_of(files, {{"CC_SBT_TARGET_DIR", "./web/"}, {"CC_SBT_TARGET_BIN", "shop; id"}});
  CHECK(
      command_of(chosen, "executable").starts_with("folder=/app/web/target/universal/stage/bin\n"));
  CHECK(mentions(command_of(chosen, "executable"), "-name 'shop; id'"));
  CHECK_FALSE(mentions(command_of(chosen, "executable"), "find /app -path"));

  files["sbt"] = "";
  CHECK(command_of(plan_of(files), "build") == "bash ./sbt stage");
  CHECK(gives_reason(plan_of(files), "Build: sbt stage (the script sbt)."));
  files["project/plugins.sbt"] = assembly;
  CHECK(command_of(plan_of(files), "build") == "bash ./sbt assembly");
  CHECK(gives_reason(plan_of(files),
                     "Start: what sbt makes (CC_JAR_PATH chooses among several jars)."));
  files["project/play.sbt"] = "addSbtPlugin(\"org.playframework\" % \"sbt-plugin\" % \"3.0\")";
  CHECK(command_of(plan_of(files), "build") == "bash ./sbt stage");
  CHECK(refusal_of({{"build.sbt", ""}}) ==
        "No plugin in project/ makes a program of this sbt build: add sbt-native-packager (or "
        "sbt-assembly) to project/plugins.sbt, or set CC_BUILD_COMMAND and CC_JAR_PATH.");
}

TEST_CASE(
    "java: a war that starts by itself is found as a jar is, one that needs a server refused") {
  const std::string find = command_of(plan_of({{"pom.xml", ""}}), "executable");
  CHECK(mentions(find, "\\( -name '*.jar' -o -name '*.war' \\)"));
  CHECK(mentions(find, "A war needs a server of its own, which is not part of the image."));
}

TEST_CASE("java: a jar in the repository is started as it is") {
  const auto plan = plan_of({{"shop.jar", "PK"}});
  CHECK(plan.tool == "jar");
  CHECK(step_names(plan) == "executable");
  CHECK(mentions(command_of(plan, "executable"), "\njar=$(compgen -G /app/shop.jar || true)\n"));
  CHECK(gives_reason(plan, "Start: java -jar shop.jar (the file is there)."));
  const Files two = {{"shop.jar", ""}, {"tool.jar", ""}};
  CHECK(refusal_of(two) ==
        "There are several jars: shop.jar, tool.jar. Choose one with CC_JAR_PATH.");
  CHECK(gives_reason(plan_of(two, {{"CC_JAR_PATH", "./tool.jar"}}),
                     "Start: java -jar tool.jar (CC_JAR_PATH)."));
  CHECK(gives_reason(plan_of({{"lib/shop.jar", ""}}, {{"CC_JAR_PATH", "lib/shop.jar"}}),
                     "Detected Java (lib/shop.jar)."));
}

TEST_CASE("java: CC_JAR_PATH says what of the build starts") {
  const auto step = [](const std::string& path) {
    return command_of(plan_of({{"pom.xml", ""}}, {{"CC_JAR_PATH", path}}), "executable");
  };
  CHECK(mentions(step("target/shop.jar"), "compgen -G /app/target/shop.jar ||"));
  CHECK(mentions(step("/app/target/shop.jar"), "compgen -G /app/target/shop.jar ||"));
  CHECK(mentions(step("target/shop-*.jar"), "compgen -G '/app/target/shop-*.jar' ||"));
  CHECK(mentions(step("it's $(x).jar"), "compgen -G '/app/it'\\''s $(x).jar' ||"));
}

TEST_CASE("java: sources alone are compiled by javac") {
  struct Case {
    std::string name;
    Files files;
    std::string file, start;
  };
  const std::string flat = "class Main {\n  static public void main(String... a) {}\n}\n";
  const auto c = GENERATE_COPY(values<Case>({
      {"in the root",
       {{"Main.java", flat}, {"Other.java", "class Other {}\n"}},
       "Main.java",
       "/app/.karreg/classes:/app Main"},
      {"a package in src/",
       {{"src/shop/Main.java", main_class}, {"src/shop/Other.java", "package shop;\n"}},
       "src/shop/Main.java",
       "/app/.karreg/classes:/app/src shop.Main"},
      {"Maven's folders, without the tests",
       {{"src/main/java/shop/Main.java", main_class}, {"src/a/test/Main.java", flat}},
       "src/main/java/shop/Main.java",
       "/app/.karreg/classes:/app/src/main/java shop.Main"},
      {"with jars",
       {{"src/Main.java", flat}, {"lib/a.jar", ""}},
       "src/Main.java",
       "'/app/.karreg/classes:/app/src:/app/lib/*' Main"},
  }));
  INFO(c.name);
  const auto plan = plan_of(c.files);
  CHECK(plan.tool == "javac");
  CHECK(step_names(plan) == "build|executable");
  CHECK(plan.reasons.front() == "Detected Java (" + c.file + ").");
  CHECK(mentions(command_of(plan, "executable"), " -cp " + c.start + " ${CC_JAR_ARGS:-}\n"));
  CHECK(run_of(plan) == "/app/.karreg/start");
}

TEST_CASE("java: CC_BUILD_COMMAND replaces the build, of an unknown tool, too") {
  const Env build = {{"CC_BUILD_COMMAND", "ant dist"}};
  const Env jar = {{"CC_BUILD_COMMAND", "ant dist"}, {"CC_JAR_PATH", "dist/shop.jar"}};
  CHECK(refusal_of({{"pom.xml", ""}}, build) ==
        "CC_BUILD_COMMAND replaces the build by maven, so that the program is not known: set "
        "CC_JAR_PATH or CC_RUN_COMMAND too, or add a Procfile with a `web:` line.");
  for (const Files& files : {Files{{"pom.xml", ""}}, Files{{"build.xml", ""}},
                             Files{{"src/shop/Main.java", main_class}}}) {
    const auto plan = plan_of(files, jar);
    CHECK(step_names(plan) == "build|executable");
    CHECK(command_of(plan, "build") == "ant dist");
    CHECK(gives_reason(plan, "Start: java -jar dist/shop.jar (CC_JAR_PATH)."));
  }
}

TEST_CASE("java: an owner's start command needs no program of ours") {
  const auto plan = plan_of({{"pom.xml", ""}, {"Procfile", "web: java -jar target/a.jar\n"}});
  CHECK(step_names(plan) == "build");
  CHECK(run_of(plan) == "/bin/sh -c exec java -jar target/a.jar");
}

TEST_CASE("java: arguments of the repository's files reach the app, and deploy goals are told") {
  const Files files = {
      {"pom.xml", ""},
      {"karreg.toml", "[java]\narguments = \"--shop 1\"\noptions = \"-Xmx100m\"\n"},
      {"clevercloud/maven.json", R"({"deploy":{"goal":"exec:java"}})"}};
  const auto plan = plan_of(files);
  CHECK(plan.env.at("CC_JAR_ARGS") == "--shop 1");
  CHECK(plan.env.at("CC_EXTRA_JAVA_ARGS") == "-Xmx100m");
  CHECK(gives_reason(plan,
                     "deploy.goal of clevercloud/maven.json=exec:java is not used: build tools are "
                     "not there when the app runs. CC_JAR_PATH or CC_RUN_COMMAND says what "
                     "starts."));
  CHECK_FALSE(plan_of({{"pom.xml", ""}}, {{"CC_JAR_ARGS", "x"}}).env.contains("CC_JAR_ARGS"));
}

TEST_CASE("java: versions") {
  struct Case {
    std::string name, file, text, runtime, problem;
  };
  const std::string there =
      ", which cannot be had here. There are: 25, 21, 17; CC_JAVA_VERSION "
      "chooses one of them.";
  const auto c = GENERATE_COPY(values<Case>({
      {"nobody asks", "x", "", "java", ""},
      {"system.properties", "system.properties", "a=b\njava.runtime.version=17\n", "java-17", ""},
      {"the old name of a version", "system.properties", "java.runtime.version=1.8", "java",
       "system.properties asks for Java 8" + there},
      {".java-version", ".java-version", "25.0.1\n", "java-25", ""},
      {"another vendor's words are passed over", ".java-version", "temurin-17\n", "java", ""},
      {"an older one is compiled by a newer one", "pom.xml", "<java.version>17</java.version>",
       "java", ""},
      {"a very old one, too", "pom.xml", "<maven.compiler.target>1.8</maven.compiler.target>",
       "java", ""},
      {"a newer one", "pom.xml", "<maven.compiler.release> 25 </maven.compiler.release>", "java-25",
       ""},
      {"one that does not exist", "pom.xml", "<java.version>99</java.version>", "java",
       "pom.xml asks for Java >=99" + there},
      {"a property", "pom.xml", "<java.version>${x}</java.version>", "java", ""},
      {"an open end", "pom.xml", "<java.version>17", "java", ""},
  }));
  INFO(c.name);
  Files files = {{"pom.xml", ""}};
  files[c.file] = c.text;
  CHECK(plan_of(files).runtime == c.runtime);
  CHECK(plan_of(files).problem == c.problem);
  CHECK(plan_of(files, {{"CC_JAVA_VERSION", "17"}}).runtime == "java-17");
}

TEST_CASE("java: a toolchain is exactly that one, and an old Gradle needs an old Java") {
  CHECK(gradle_plan({{"build.gradle", "languageVersion = JavaLanguageVersion.of(17)"}}).runtime ==
        "java-17");
  CHECK(gradle_plan(
            {{"settings.gradle.kts", ""}, {"app/build.gradle.kts", "kotlin { jvmToolchain(25) }"}})
            .runtime == "java-25");
  const auto with_gradle = [](const std::string& version) {
    return gradle_plan(
        {{"build.gradle", ""},
         {"gradle/wrapper/gradle-wrapper.properties",
          "distributionUrl=https\\://example.org/distributions/gradle-" + version + "-bin.zip\n"}});
  };
  CHECK(with_gradle("8.4").runtime == "java-17");
  CHECK(gives_reason(with_gradle("7.6.1"),
                     "Version: Java 17 (Gradle 7.6.1 of "
                     "gradle/wrapper/gradle-wrapper.properties asks for <21)."));
  CHECK(with_gradle("8.5").runtime == "java");
  CHECK(with_gradle("8.10.2").runtime == "java");
  CHECK(with_gradle("x").runtime == "java");
}

TEST_CASE("java: broken files are passed over, and nothing is read outside the app") {
  const std::string noise("\0\xff<java.version><", 17);
  CHECK(plan_of({{"pom.xml", noise}}).runtime == "java");
  CHECK(gradle_plan({{"build.gradle", noise}}).runtime == "java");
  CHECK(plan_of({{"pom.xml", std::string(2U << 20, '<')}}).tool == "maven");
  // Neither is there a main() in a comment's file of another language, nor a jar elsewhere.
  CHECK(mentions(refusal_of({{"a.java", ""}, {"b/c.jar", ""}}), "No known way to build this"));
  CHECK(mentions(refusal_of({{"x/y", ""}}, {{"CC_JAR_PATH", "../../y.jar"}}),
                 "No known way to build this"));
}

TEST_CASE("java: a large tree without a main() is given up, not searched through") {
  Files files;
  for (int i = 0; i < 1000; ++i) files["src/" + std::to_string(i) + "/A.java"] = "class A {}\n";
  files["src/last/Main.java"] = main_class;
  CHECK(mentions(refusal_of(files), "No known way to build this"));
}

TEST_CASE("java: what stands beside other languages") {
  const std::string node = R"({"scripts":{"start":"node a.js"}})";
  CHECK(plan_of({{"pom.xml", ""}, {"package.json", node}}).tool == "maven");
  CHECK(plan_of({{"tool.jar", ""}, {"package.json", node}}).tool == "npm");
  CHECK(plan_of({{"src/shop/Main.java", main_class}, {"package.json", node}}).tool == "npm");
  CHECK(plan_of({{"pom.xml", ""}, {"build.gradle", ""}}).tool == "maven");
  for (const char* type : {"maven", "gradle", "kotlin", "jar"})
    CHECK(plan_of({{"pom.xml", ""}, {"package.json", node}}, {}, type).tool == "maven");
}
