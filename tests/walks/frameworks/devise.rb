# A Rails application with Devise, as its own generators make it, for tests/walks/frameworks.py:
#
#   ruby devise.rb generate                    rails generate devise:install, devise User
#   ruby devise.rb make EMAIL PASSWORD         migrates, and registers a user
#   ruby devise.rb sign-in EMAIL PASSWORD      posts the form of Devise's own page; prints yes or no
#
# The application is in the current folder, its PostgreSQL at DATABASE_URL, its pepper in PEPPER.
require "fileutils"
require "securerandom"
ENV["RAILS_ENV"] = "production" # where Devise's initializer asks for as many rounds of bcrypt as people use
require "rails"
require "active_record/railtie"
require "action_controller/railtie"
require "action_view/railtie"
require "devise"

class Site < Rails::Application
  config.root = Dir.pwd
  config.load_defaults 6.1
  config.eager_load = false
  config.secret_key_base = SecureRandom.hex(64)
  config.action_controller.allow_forgery_protection = false # no browser, no token
  config.log_level = :fatal
end

verb, email, password = ARGV
if verb == "generate"
  # What `rails new` has written before a generator runs.
  FileUtils.mkdir_p(%w[app/controllers app/models config/initializers db/migrate])
  File.write("config/routes.rb", "Rails.application.routes.draw do\nend\n")
  File.write("app/controllers/application_controller.rb", "class ApplicationController < ActionController::Base\nend\n")
  File.write("app/models/application_record.rb", "class ApplicationRecord < ActiveRecord::Base\n  self.abstract_class = true\nend\n")
  require "devise/orm/active_record"
end
Site.initialize!
Devise.pepper = ENV.fetch("PEPPER")

case verb
when "generate"
  require "rails/generators"
  Rails::Generators.configure!(Site.config.generators)
  Rails::Generators.invoke("devise:install", ["--quiet"])
  Rails::Generators.invoke("devise", ["User", "--quiet"])
when "make"
  ActiveRecord::Base.connection.migration_context.migrate
  User.create!(email: email, password: password)
when "sign-in"
  form = { user: { email: email, password: password } }
  answer = Rack::MockRequest.new(Site).post("/users/sign_in", params: form, "HTTP_HOST" => "localhost")
  abort "Devise answered #{answer.status}" unless [200, 302, 303].include?(answer.status)
  puts answer.status == 200 ? "no" : "yes"
end
