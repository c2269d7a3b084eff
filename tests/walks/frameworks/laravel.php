<?php
// Laravel's own schema builder, model, hasher and guard, for tests/walks/frameworks.py:
//
//   php laravel.php make EMAIL PASSWORD       makes the table, and a user
//   php laravel.php sign-in EMAIL PASSWORD    asks the session guard; prints yes or no
//
// The table has the columns of laravel/laravel, database/migrations/…_create_users_table.php, which is
// no part of the framework's package. Its PostgreSQL is at PGHOST, PGPORT, PGDATABASE, PGUSER, PGPASSWORD.
error_reporting(E_ALL & ~E_DEPRECATED);
require '/usr/share/php/Illuminate/autoload.php';

use Illuminate\Auth\EloquentUserProvider;
use Illuminate\Auth\SessionGuard;
use Illuminate\Database\Capsule\Manager;
use Illuminate\Hashing\BcryptHasher;
use Illuminate\Session\ArraySessionHandler;
use Illuminate\Session\Store;

class User extends Illuminate\Foundation\Auth\User
{
    protected $fillable = ['name', 'email', 'password'];
}

$database = new Manager();
$database->addConnection([
    'driver' => 'pgsql',
    'host' => getenv('PGHOST'),
    'port' => getenv('PGPORT'),
    'database' => getenv('PGDATABASE'),
    'username' => getenv('PGUSER'),
    'password' => getenv('PGPASSWORD'),
]);
$database->bootEloquent();
$hasher = new BcryptHasher();
[, $verb, $email, $password] = $argv;

if ($verb === 'make') {
    $database->getConnection()->getSchemaBuilder()->create('users', function ($table) {
        $table->id();
        $table->string('name');
        $table->string('email')->unique();
        $table->timestamp('email_verified_at')->nullable();
        $table->string('password');
        $table->rememberToken();
        $table->timestamps();
    });
    User::create(['name' => 'Ann', 'email' => $email, 'password' => $hasher->make($password)]);
} else {
    $session = new Store('site', new ArraySessionHandler(10));
    $guard = new SessionGuard('web', new EloquentUserProvider($hasher, User::class), $session);
    echo $guard->attempt(['email' => $email, 'password' => $password]) ? "yes\n" : "no\n";
}
